"""When to decode the tokens drawn so far: every so many, or just before the listener would run out of sound.

Either way the first chunk may be smaller than the rest, so that the first sound comes soon.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tts_cli.audio import SAMPLE_RATE

FIRST: Final = 7
"""Tokens of the first chunk: three that the flow looks ahead at, and four whose sound comes at once."""
LEAST: Final = 5
"""Tokens of any later chunk: below it, what a chunk costs whatever its size outweighs the rest."""
LATE: Final = 10
"""The same where the sound runs out anyway: there is nothing to be in time for, and larger chunks cost less."""
MOST: Final = 25
"""Tokens of the largest chunk: a second of sound, and as many as the flow decodes at once."""


class Schedule(Protocol):
    """Asked after each token, told after each chunk."""

    @property
    def first(self) -> int:
        """Tokens of the first chunk."""
        ...

    def due(self, held: int, waiting: int) -> bool:
        """Whether to decode now, with `held` tokens in hand and `waiting` more already drawn."""
        ...

    def decoded(self, tokens: int, samples: int, seconds: float) -> None:
        """A chunk of `tokens` gave `samples`, `seconds` after it was begun."""
        ...


@dataclass(slots=True)
class EverySo:
    """Every `size` tokens, behind the `first`."""

    size: int
    first: int
    begun: bool = False

    def due(self, held: int, waiting: int) -> bool:  # noqa: ARG002 - the size alone decides
        """See `Schedule`."""
        due = held >= (self.size if self.begun else self.first)
        self.begun = self.begun or due
        return due

    def decoded(self, tokens: int, samples: int, seconds: float) -> None:
        """See `Schedule`."""


class Deadline:
    """A small first chunk, then chunks as large as the sound handed out leaves time for.

    Supposes that the listener hears the first sound as soon as it is handed out; where playing waits longer, there is
    that much more to spare. Where it cannot be in time, it takes all tokens that have been drawn, up to `MOST`.
    """

    first = FIRST

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._runs_out: float | None = None
        """When all sound handed out will have been heard."""
        self._asked = clock()
        self._pace = 0.0
        """Seconds between the last two tokens."""
        self._cost = 0.0
        """Seconds that the last chunk took to decode."""
        self._size = 1
        """Its tokens."""

    def due(self, held: int, waiting: int) -> bool:
        """See `Schedule`."""
        now = self._clock()
        self._pace, self._asked = now - self._asked, now
        if held >= MOST:
            return True
        if self._runs_out is None:
            return held >= self.first
        if now + self._expected(held) > self._runs_out:
            return held >= LATE and not waiting
        until_next = 0.0 if waiting else self._pace
        return held >= LEAST and now + until_next + self._expected(held + 1) >= self._runs_out

    def _expected(self, tokens: int) -> float:
        """Seconds that so many tokens take, or somewhat fewer."""
        return self._cost * max(1.0, tokens / self._size)

    def decoded(self, tokens: int, samples: int, seconds: float) -> None:
        """See `Schedule`."""
        now = self._clock()
        self._cost, self._size = seconds, tokens
        heard_until = now if self._runs_out is None else max(self._runs_out, now)
        if samples:
            self._runs_out = heard_until + samples / SAMPLE_RATE


def schedule(chunk: int | None, soon: bool) -> Schedule:
    """The schedule for chunks of so many tokens; None: by deadline. `soon`: the first has `FIRST` at most."""
    return Deadline() if chunk is None else EverySo(chunk, min(chunk, FIRST) if soon else chunk)
