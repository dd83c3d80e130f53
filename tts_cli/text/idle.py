"""How long the writer of a text must pause before its incomplete text is spoken."""

from __future__ import annotations

from typing import Final

from tts_cli.text.pauses import Patience

IDLE_SECONDS: Final = 0.7
"""After so long, sentences are spoken whose mark shows that they are complete."""
WORDS_SECONDS: Final = 2.0
"""After so long, whole words are spoken, though their sentence is not complete."""
ALL_SECONDS: Final = 5.0
"""After so long, everything is spoken, also a last word without white space after it."""


class Idle:
    """Decides what is due during a pause of the writer.

    Parameters
    ----------
    seconds
        After how long complete sentences are due. Nothing is due sooner; with 0, nothing is ever due.
    now
        The time, in seconds, at which the first wait begins.

    Examples
    --------
    >>> idle = Idle(0.7, now=0.0)
    >>> idle.take(0.5), idle.take(0.8), idle.left(0.8)
    (None, 'sentences', 1.2)
    """

    def __init__(self, seconds: float, now: float) -> None:
        self._steps: list[tuple[float, Patience]] = []
        if seconds:
            self._steps = [
                (seconds, "sentences"),
                (max(seconds, WORDS_SECONDS), "words"),
                (max(seconds, ALL_SECONDS), "all"),
            ]
        self.arrived(now)

    def arrived(self, now: float) -> None:
        """Text has arrived. The pause begins again."""
        self._since = now
        self._due = iter(self._steps)
        self._next = next(self._due, None)

    def left(self, now: float) -> float | None:
        """Seconds until something is due, 0 if it is due already; None if nothing will be due before text arrives."""
        return None if self._next is None else max(0.0, self._since + self._next[0] - now)

    def take(self, now: float) -> Patience | None:
        """What is due at the time `now`, or None. Each is returned once in a pause."""
        if self._next is None or self.left(now):
            return None
        patience = self._next[1]
        self._next = next(self._due, None)
        return patience
