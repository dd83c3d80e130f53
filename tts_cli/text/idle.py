"""How long a writer must pause before what it wrote so far is spoken."""

from __future__ import annotations

from typing import Final

from tts_cli.text.pauses import Patience

IDLE_SECONDS: Final = 0.7
"""After so long, complete sentences are not kept back until the next word shows that they are complete."""
WORDS_SECONDS: Final = 2.0
"""After so long, whole words are spoken, whatever is still to come of their sentence."""
ALL_SECONDS: Final = 5.0
"""After so long, everything is spoken, also a last word that no white space has ended."""


class Idle:
    """Tells what is due in a pause of the writer.

    Parameters
    ----------
    seconds
        After how long complete sentences are due; nothing is due sooner. 0: nothing is ever due.
    now
        The time, in seconds, at which the writer is waited for first.
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
        """Text has come: a pause begins anew."""
        self._since = now
        self._due = iter(self._steps)
        self._next = next(self._due, None)

    def left(self, now: float) -> float | None:
        """Seconds until something is due, 0 where it is; None if only more text can change anything."""
        return None if self._next is None else max(0.0, self._since + self._next[0] - now)

    def take(self, now: float) -> Patience | None:
        """What is due now. Each is given once in a pause."""
        if self._next is None or self.left(now):
            return None
        patience = self._next[1]
        self._next = next(self._due, None)
        return patience
