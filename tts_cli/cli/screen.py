"""Draws something again and again at the same place of a terminal, whose window may change its size."""

from __future__ import annotations

from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType


class Screen:
    """A context manager. What was drawn last disappears at its end.

    Parameters
    ----------
    console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._width = console.width
        self._lines: list[int] = []  # the columns of each line that was drawn

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._erase_what_was_wrapped()
        self._live.stop()

    def show(self, content: RenderableType) -> None:
        """Draw `content` in the place of what was drawn before."""
        self._erase_what_was_wrapped()
        lines = self._console.render_lines(content, pad=False)
        self._lines = [sum(cell_len(part.text) for part in line) for line in lines]
        self._live.update(content, refresh=True)

    def _erase_what_was_wrapped(self) -> None:
        """Erase the lines that a narrower window has made of what was drawn. `Live` does not know of them."""
        width, self._width = self._console.width, self._console.width
        if width < 1:
            return
        more = sum(max(0, -(-columns // width) - 1) for columns in self._lines)
        for _ in range(more):
            self._console.control(Control((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)))
        self._lines = []
