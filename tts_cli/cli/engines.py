"""The command `tts engines`."""

from __future__ import annotations


def engines() -> None:
    """List the engines, and whether they can speak here; --engine takes their names."""
    from rich.console import Console
    from rich.table import Table

    from tts_cli.engines.registry import broken
    from tts_cli.engines.registry import engines as known
    from tts_cli.errors import MissingError

    table = Table("Name", "State", "About", box=None)
    for spec in known().values():
        state = "ready"
        try:
            spec.check_available(spec.settings())
        except MissingError as error:
            state = str(error)
        table.add_row(spec.name, state, spec.summary)
    for name, why in broken().items():
        table.add_row(name, "broken", why)
    Console(markup=False).print(table)
