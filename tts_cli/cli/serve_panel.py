"""The panel of `tts serve` in a terminal, with the lines of the log above it."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tts_cli.cli.display import has_live_display, milliseconds, ratio
from tts_cli.printable import harmless
from tts_cli.server.monitoring import Glance


class ServePanel:
    """Shows listeners, queue, TTFA and RTF while its block runs.

    Parameters
    ----------
    console
        The terminal.

    Attributes
    ----------
    title : str
        What is served where.
    """

    def __init__(self, console: Console) -> None:
        self.title = "tts serve"
        self._shown: Glance | None = None
        self._console = console
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> ServePanel:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def line(self, text: str) -> None:
        """Print a line of the log above the panel."""
        self._console.print(text, soft_wrap=True)

    def show(self, glance: Glance) -> None:
        """Draw the panel again."""
        if glance != self._shown:
            self._shown = glance
            self._live.update(render(glance, self.title), refresh=True)


def panel_on_terminal() -> ServePanel | None:
    """The panel; None if standard error is no terminal that can show it."""
    console = Console(stderr=True, highlight=False, markup=False)
    return ServePanel(console) if has_live_display(console) else None


def render(glance: Glance, title: str) -> Panel:
    """The panel: four lines in a frame."""
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(style="dim", justify="right")
        table.add_column(min_width=16)
    listeners, waiting = f"{glance.listeners} of {glance.places}", f"{glance.waiting} of {glance.most_waiting}"
    table.add_row("listeners", listeners, "queue", waiting)
    table.add_row("TTFA", milliseconds(glance.ttfa), "RTF", ratio(glance.rtf))
    table.add_row("utterances", str(glance.utterances), "spoken", f"{glance.spoken:.1f} s")
    table.add_row("errors", str(glance.errors), "", "")
    return Panel(table, title=Text(harmless(title)), title_align="left", expand=False, border_style="cyan")
