"""Decides when the tokens drawn so far are decoded: every n tokens, or just before the sound runs out.

With both, the first chunk can be smaller than the others, so that the first sound comes early.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tts_cli.audio import SAMPLE_RATE

FIRST: Final = 7
"""Tokens of the first chunk: three are the flow's lookahead, and the sound of the other four comes at once."""
LEAST: Final = 5
"""The fewest tokens of a later chunk. In smaller chunks, the cost that every chunk has outweighs the rest."""
LATE: Final = 10
"""The fewest tokens of a chunk that cannot be in time. Larger chunks cost less for each token."""
MOST: Final = 25
"""The most tokens of a chunk: 1 s of sound, and as many as the flow decodes at once."""


class Schedule(Protocol):
    """Decides when to decode. `due` is called after each token, `decoded` after each chunk."""

    @property
    def first(self) -> int:
        """Tokens of the first chunk."""
        ...

    def due(self, held: int, waiting: int) -> bool:
        """Whether to decode now.

        Parameters
        ----------
        held
            Tokens that the chunk would have.
        waiting
            Further tokens that have been drawn.
        """
        ...

    def decoded(self, tokens: int, samples: int, seconds: float) -> None:
        """Record that a chunk is computed.

        Parameters
        ----------
        tokens
            Its tokens.
        samples
            The samples that it gave; 0 is possible.
        seconds
            The time that it took.
        """
        ...


@dataclass(slots=True)
class FixedSize:
    """Decodes after the `first` tokens, and then after every `size` tokens."""

    size: int
    first: int
    begun: bool = False
    """Whether the first chunk has been decoded."""

    def due(self, held: int, waiting: int) -> bool:  # noqa: ARG002 - only the size decides
        """See `Schedule`."""
        due = held >= (self.size if self.begun else self.first)
        self.begun = self.begun or due
        return due

    def decoded(self, tokens: int, samples: int, seconds: float) -> None:
        """See `Schedule`."""


class Deadline:
    """Decodes a small first chunk, and then as late as possible, so that chunks are large.

    It assumes that the listener hears the first sound as soon as it is given. If playback starts later, there is more
    time than it assumes. A chunk that cannot be in time has all tokens that have been drawn, up to `MOST`.

    Parameters
    ----------
    speed
        How many times as fast as it is given the sound is heard.
    clock
        Returns the time in seconds.
    """

    first = FIRST

    def __init__(self, speed: float = 1.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self._speed = speed
        self._clock = clock
        self._runs_out: float | None = None
        """When the listener will have heard all sound that was given."""
        self._asked = clock()
        self._pace = 0.0
        """Seconds between the last two tokens."""
        self._cost = 0.0
        """Seconds that the last chunk took."""
        self._size = 1
        """Tokens of the last chunk."""

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
        """Seconds that a chunk of `tokens` will take, estimated from the last one. A smaller chunk may take less."""
        return self._cost * max(1.0, tokens / self._size)

    def decoded(self, tokens: int, samples: int, seconds: float) -> None:
        """See `Schedule`."""
        now = self._clock()
        self._cost, self._size = seconds, tokens
        heard_until = now if self._runs_out is None else max(self._runs_out, now)
        if samples:
            self._runs_out = heard_until + samples / SAMPLE_RATE / self._speed


def schedule(chunk: int | None, soon: bool, speed: float = 1.0) -> Schedule:
    """Make the schedule of an utterance.

    Parameters
    ----------
    chunk
        Tokens in a chunk; None for `Deadline`.
    soon
        Whether the first chunk has at most `FIRST` tokens. `Deadline` always begins with `FIRST`.
    speed
        As for `Deadline`.

    Examples
    --------
    >>> schedule(10, soon=True).first, schedule(10, soon=False).first
    (7, 10)
    """
    return Deadline(speed) if chunk is None else FixedSize(chunk, min(chunk, FIRST) if soon else chunk)
