"""Decides which rows T3 draws in the next step, from how much sound each listener has in hand.

A batch of several rows costs each row time. So the segment that is heard is drawn without the next ones while its
listener has little sound in hand. The more sound there is, the more of the next segments take part, the nearest first:
what is heard next helps the listener soonest. The next segment takes part in any case in two situations: when T3 would
otherwise wait, and when the listener has had to wait for sound, so drawing alone is too slow. More segments would then
leave the decoder without tokens. The texts of the next segments are read one after another, in pieces.

At the very beginning of a text, T3 gives way to S3Gen: both compete for memory, and until the listener has some sound,
only the next chunk matters.

Of several texts that are spoken at the same time, those whose first chunk is not drawn come first, without the others.
Each text begins once, and the engine's `capacity` bounds how many there are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SLACK: Final = 1.5
"""Seconds of unheard sound that allow one more segment to be drawn beside the one that is heard. A
large chunk takes about as long from its first token until it is decoded."""
PLENTY: Final = 50
"""If this many drawn tokens wait to be decoded (2 s), the segment after them takes part in any case."""
WAITED: Final = 0.5
"""If the listener has waited this many seconds for sound, the next segment takes part in any case."""
START: Final = 0.5
"""Seconds of sound. Until its listener has been given this much, a text that is spoken alone draws no tokens while
S3Gen has chunks to compute in all its places."""
MOST_ROWS: Final = 8
"""The most rows in one step. More rows make a token hardly cheaper, and make every row slower."""


class Listener:
    """How much sound the listener has in hand, if each chunk is heard as soon as it can be.

    Parameters
    ----------
    clock
        Returns the time in seconds.

    Examples
    --------
    >>> listener = Listener(lambda: 10.0)
    >>> listener.given(2.5)
    >>> listener.slack, listener.waited
    (2.5, 0.0)

    Attributes
    ----------
    sound
        Seconds of sound that the listener has been given.
    waited
        Seconds that the listener has waited for sound since the first.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.sound = 0.0
        self.waited = 0.0
        self._clock = clock
        self._begun = False
        self._runs_out = clock()

    def given(self, seconds: float) -> None:
        """Record that the listener is given so much sound."""
        now = self._clock()
        if self._begun:
            self.waited += max(0.0, now - self._runs_out)
        self._begun = True
        self.sound += seconds
        self._runs_out = max(self._runs_out, now) + seconds

    @property
    def begun(self) -> bool:
        """Whether the listener has been given sound."""
        return self._begun

    @property
    def runs_out(self) -> float:
        """When the listener will have heard everything, by the clock."""
        return self._runs_out

    @property
    def slack(self) -> float:
        """Seconds until the listener has heard everything; 0 or less if that is so."""
        return self._runs_out - self._clock()


@dataclass(frozen=True, slots=True)
class Standing:
    """A row as the policy sees it."""

    waiting: int
    """Its tokens that have been drawn and not taken."""
    ended: bool = False
    """Whether all its tokens have been drawn."""
    reading: bool = False
    """Whether its text has not been read to the end."""


def taking_part(rows: Sequence[Standing], slack: float, waited: float = 0.0) -> list[int]:
    """Which rows draw their next token in the next step.

    Parameters
    ----------
    rows
        In the order in which they are heard.
    slack, waited
        Of the `Listener`.

    Returns
    -------
    list of int
        Their indices, in order. At most one of them, apart from the first, reads its text.

    Examples
    --------
    >>> rows = [Standing(3), Standing(0), Standing(0, reading=True), Standing(0, reading=True)]
    >>> taking_part(rows, slack=0.1), taking_part(rows, slack=2), taking_part(rows, slack=9)
    ([0], [0, 1], [0, 1, 2])
    """
    drawing = [index for index, row in enumerate(rows) if not row.ended]
    if not drawing:
        return []
    in_hand = sum(row.waiting for row in rows[: drawing[0] + 1])
    at_least = waited >= WAITED or in_hand >= PLENTY
    beside = max(int(at_least), math.floor(slack / SLACK))
    others = drawing[1 : 1 + beside]
    next_to_read = next((index for index in others if rows[index].reading), None)
    return drawing[:1] + [index for index in others if index == next_to_read or not rows[index].reading]


@dataclass(frozen=True, slots=True)
class TextStanding:
    """A text that is spoken, as the policy sees it."""

    rows: Sequence[Standing]
    """Its segments, in the order in which they are heard."""
    slack: float
    """Of its `Listener`."""
    waited: float
    """Of its `Listener`."""
    begins: bool
    """Whether the tokens of its first chunk have not been drawn."""
    sound: float
    """Of its `Listener`."""


def gives_way(texts: Sequence[TextStanding]) -> bool:
    """Whether T3 draws nothing while S3Gen has chunks to compute in all its places.

    Examples
    --------
    >>> begun = TextStanding([Standing(9)], slack=0.1, waited=0, begins=False, sound=0.1)
    >>> gives_way([begun]), gives_way([begun, begun])
    (True, False)
    """
    return len(texts) == 1 and texts[0].sound < START


def taking_part_of(texts: Sequence[TextStanding]) -> list[tuple[int, int]]:
    """Which rows of several texts draw their next token in the next step.

    Returns
    -------
    list of (int, int)
        Indices of a text and of a row in it, at most `MOST_ROWS`. The segments that are heard come before those that
        follow them.

    Examples
    --------
    >>> spoken = TextStanding([Standing(9), Standing(0)], slack=2, waited=0, begins=False, sound=8)
    >>> taking_part_of([spoken, spoken])
    [(0, 0), (1, 0), (0, 1), (1, 1)]
    >>> taking_part_of([spoken, TextStanding([Standing(0)], slack=0, waited=0, begins=True, sound=0)])
    [(1, 0)]
    """
    parts = [(index, taking_part(text.rows, text.slack, text.waited)) for index, text in enumerate(texts)]
    parts = [(index, rows) for index, rows in parts if rows]
    first = [(index, rows) for index, rows in parts if texts[index].begins]
    ranked = [(rank, index, row) for index, rows in first or parts for rank, row in enumerate(rows)]
    return [(index, row) for _, index, row in sorted(ranked)][:MOST_ROWS]
