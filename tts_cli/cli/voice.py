"""`tts voice`: the voices there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Show the voices there are.", no_args_is_help=True)

VoicesDir = Annotated[
    Path | None,
    typer.Option("--voices-dir", envvar="TTS_VOICES_DIR", help="Folder of cached voices.", show_default=False),
]


@app.command("list")
def list_(voices_dir: VoicesDir = None) -> None:
    """List all voices."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from tts_cli.voices import VoiceStore, own_voices  # noqa: PLC0415

    table = Table("Name", "Engine", "From", box=None)
    for info in [*own_voices(), *VoiceStore(voices_dir).list()]:
        table.add_row(info.name, info.engine, info.source or ("ships with the engine" if info.path is None else ""))
    Console().print(table)


@app.command("info")
def info(name: str, voices_dir: VoicesDir = None) -> None:
    """Show what is known about one voice."""
    from dataclasses import asdict  # noqa: PLC0415

    from tts_cli.voices import VoiceStore, own_voices  # noqa: PLC0415

    own = {voice.name: voice for voice in own_voices()}
    found = own.get(name) or VoiceStore(voices_dir).info(name)
    for key, value in asdict(found).items():
        if value not in ("", None):
            typer.echo(f"{key:<9} {value}")
