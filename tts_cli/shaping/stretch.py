"""Changes the pace of speech while it comes, and not its pitch.

The method is WSOLA: what goes out is put together of pieces of what came in. Each piece begins near the place that the
pace asks for, where the sound is most like the one that would have followed the piece before, and is faded into it.
docs/lab/stretching.md compares it with other methods.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tts_cli.audio import Samples, as_samples, raised_cosine

PIECE_SECONDS: Final = 0.01
REACH_SECONDS: Final = 0.007
"""How far before or after its place a piece may begin. Twice this is a period of a voice of 71 Hz."""
LIKE_SECONDS: Final = 0.0125
"""How much sound is compared."""


class Stretcher:
    """Changes the pace of one sound after the other. One thread calls `add` and `finish`.

    It holds back at most 50 ms of sound.

    Parameters
    ----------
    rate
        Samples a second.
    speed
        Pace of the output divided by that of the input: 0.25 to 4.

    Attributes
    ----------
    speed
        Any thread may set it while sound comes. It applies from the next piece of 10 ms.

    Examples
    --------
    >>> stretcher = Stretcher(24_000, speed=2)
    >>> len(stretcher.add(np.zeros(24_000, np.float32))) + len(stretcher.finish())
    12000

    References
    ----------
    Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality time-scale
    modification of speech", ICASSP 1993.
    """

    def __init__(self, rate: int, speed: float = 1.0) -> None:
        self.speed = speed
        self._piece = round(PIECE_SECONDS * rate)
        self._reach = round(REACH_SECONDS * rate)
        self._like = round(LIKE_SECONDS * rate)
        self._rise = raised_cosine(self._piece)
        self._begin()

    def _begin(self) -> None:
        self._held = np.zeros(0, np.float32)  # the sound from `_start` on, which is still needed
        self._start = 0
        self._place = 0.0  # where in the sound the next piece of the result belongs
        self._next = 0  # where the sound goes on after the piece before

    def add(self, samples: Samples) -> Samples:
        """Take the next samples `[n]`, and give those of the result that are known."""
        self._held = np.concatenate([self._held, samples])
        pieces = []
        while self._needed(speed := self.speed) <= self._end:
            pieces.append(self._taken(speed))
        return _joined(pieces)

    def finish(self) -> Samples:
        """Give the rest. The next samples are those of another sound.

        At a constant speed, n samples have become n / speed, rounded.
        """
        speed = self.speed
        left = round((self._end - self._place) / speed)
        pieces = []
        while left > 0:
            self._held = np.pad(self._held, (0, max(0, self._needed(speed) - self._end)))
            pieces.append(self._taken(speed)[:left])
            left -= len(pieces[-1])
        self._begin()
        return _joined(pieces)

    @property
    def _end(self) -> int:
        return self._start + len(self._held)

    def _aim(self, speed: float) -> int:
        """Where the next piece should begin. Its middle is half faded in, and belongs to the place."""
        return max(0, math.floor(self._place + self._piece * (speed - 1)))

    def _needed(self, speed: float) -> int:
        """The end of the sound that the next piece may use."""
        return max(self._next, self._aim(speed) + self._reach) + max(self._like, self._piece)

    def _taken(self, speed: float) -> Samples:
        """The next piece."""
        begin = self._best(self._aim(speed))
        old, new = (self._held[at - self._start :][: self._piece] for at in (self._next, begin))
        piece = old if begin == self._next else old + (new - old) * self._rise
        self._next = begin + self._piece
        self._place += self._piece * speed
        # The speed may become less, but the next piece never begins before the place by more than its own length.
        oldest = min(self._next, max(0, math.floor(self._place) - self._piece - self._reach))
        self._held, self._start = self._held[max(0, oldest - self._start) :], max(self._start, oldest)
        return piece

    def _best(self, aim: int) -> int:
        """Where the sound is most like the one that would follow, near `aim`."""
        first, last = max(0, aim - self._reach), aim + self._reach
        goal = self._held[self._next - self._start :][: self._like].astype(np.float64)
        if not goal.any():
            return min(max(self._next, first), last)
        field = self._held[first - self._start :][: last - first + self._like].astype(np.float64)
        energy = np.concatenate([[0.0], np.cumsum(field * field)])
        norms = np.sqrt(np.maximum(energy[self._like :] - energy[: -self._like], 1e-9))
        return first + int((np.correlate(field, goal, "valid") / norms).argmax())


def _joined(pieces: list[Samples]) -> Samples:
    return as_samples(np.concatenate(pieces)) if pieces else np.zeros(0, np.float32)
