"""Draws something again and again at the same place of a terminal, whose window may change its size."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live


class Screen:
    """A context manager. What was drawn last disappears at its end.

    A narrower window breaks the lines that are there, and how many they become differs between terminals. So the whole
    window is cleared after its width has changed.

    Parameters
    ----------
    console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._width = console.width

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear_if_resized()
        self._live.stop()

    def show(self, content: RenderableType) -> None:
        """Draw `content` in the place of what was drawn before."""
        self._clear_if_resized()
        self._live.update(content, refresh=True)

    def _clear_if_resized(self) -> None:
        before, self._width = self._width, self._console.width
        if self._width != before:
            self._console.control(Control.clear(), Control.home())
