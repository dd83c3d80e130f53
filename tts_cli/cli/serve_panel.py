"""The panel of `tts serve` in a terminal, with the lines of the log above it."""

from __future__ import annotations

from itertools import chain
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tts_cli.cli.display import has_live_display, milliseconds, ratio
from tts_cli.printable import harmless
from tts_cli.server.monitoring import Glance

WIDE: Final = 60
"""Columns that two values in a line need."""
FRAME: Final = 6
"""Columns that the frame takes of the line of the title."""


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
            self._live.update(render(glance, self.title, self._console.width), refresh=True)


def panel_on_terminal() -> ServePanel | None:
    """The panel; None if standard error is no terminal that can show it."""
    console = Console(stderr=True, highlight=False, markup=False)
    return ServePanel(console) if has_live_display(console) else None


def render(glance: Glance, title: str, width: int) -> Panel:
    """The panel: two values in a line, or one where the terminal is narrow.

    Parameters
    ----------
    glance
        The values.
    title
        What is served where; its first word stands alone where it does not fit.
    width
        Columns of the terminal.

    Returns
    -------
    Panel
        A frame around the values.
    """
    values = [
        ("listeners", f"{glance.listeners} of {glance.places}"),
        ("queue", f"{glance.waiting} of {glance.most_waiting}"),
        ("TTFA", milliseconds(glance.ttfa)),
        ("RTF", ratio(glance.rtf)),
        ("utterances", str(glance.utterances)),
        ("spoken", f"{glance.spoken:.1f} s"),
        ("errors", str(glance.errors)),
        ("", ""),
    ]
    pairs = 2 if width >= WIDE else 1
    table = Table.grid(padding=(0, 2))
    for _ in range(pairs):
        table.add_column(style="dim", justify="right")
        table.add_column(min_width=16)
    for first in range(0, len(values) - 1, pairs):
        table.add_row(*chain(*values[first : first + pairs]))
    shown = harmless(title)
    if len(shown) + FRAME > width:
        shown = shown.partition(" · ")[0]
    return Panel(table, title=Text(shown), title_align="left", expand=False, border_style="cyan")
