"""The tokens of one segment, which one thread draws and another one decodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Final

from tts_cli.engines.chatterbox.schedule.policy import Standing
from tts_cli.engines.chatterbox.t3.batch import Row

SOON: Final = 10
"""Tokens between those of the first chunk and packing. While they are drawn, the decoder computes that chunk. While
weights are packed, it can compute the next one."""


class Tokens(Iterator[int]):
    """The tokens of one segment, from the thread that draws them. An error is raised after the tokens before it.

    Closing it frees its row.

    Parameters
    ----------
    row
        Draws the tokens.
    stops
        Takes each token, and returns whether it must be the last.
    first
        Tokens of the first chunk.
    wanted
        Returns whether someone wants to hear the segment. If not, its row is free after the step.
    changed
        The condition of the `TokenBatcher`.
    """

    def __init__(
        self, row: Row, stops: Callable[[int], bool], first: int, wanted: Callable[[], bool], changed: Condition
    ) -> None:
        self.row: Row | None = row
        """None when all tokens have been drawn, or when it is closed."""
        self.error: Exception | None = None
        self._stops, self._first, self._wanted, self._changed = stops, first, wanted, changed
        self._drawn: deque[int] = deque()
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many tokens have been drawn and not taken."""
        return len(self._drawn)

    @property
    def standing(self) -> Standing:
        """What the policy knows of it."""
        return Standing(self.waiting, self.row is None, self.row is not None and self.row.reading)

    @property
    def wanted(self) -> bool:
        """Whether more of its tokens are to be drawn."""
        return self.row is not None and self._wanted()

    @property
    def begins(self) -> bool:
        """Whether the tokens of its first chunk are still being drawn."""
        return self.row is not None and self._count < self._first

    @property
    def past_first_chunk(self) -> bool:
        """Whether exactly `SOON` tokens after those of its first chunk have been drawn."""
        return self.row is not None and self._count == self._first + SOON

    def __next__(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._drawn or self.row is None)
            if self._drawn:
                return self._drawn.popleft()
            if self.error is not None:
                raise self.error
            raise StopIteration

    def add(self, token: int | None) -> None:
        """Add what the row has drawn. `changed` is held."""
        row = self.row
        if row is None:
            return
        if token is not None:
            self._drawn.append(token)
            self._count += 1
        if row.ended or not self._wanted() or (token is not None and self._stops(token)):
            self.end(row.error)

    def end(self, error: Exception | None = None) -> None:
        """Free the row. `changed` is held."""
        if self.row is not None:
            self.row, self.error = None, error
            self._changed.notify_all()

    def close(self) -> None:
        """End it, and drop what was drawn. Calling it twice is harmless."""
        with self._changed:
            self._drawn.clear()
            self.end()
