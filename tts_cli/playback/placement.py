"""Places sound in the ring of a speaker, at a pace and a volume that may change while it waits.

Sound is stored in short pieces as it came. On its way into the ring it passes a `Stretcher` and a `Volume`; with both
at their defaults it is not touched. When one of them changes, the pieces that are not about to be played are taken out
of the ring again and placed as they should sound now. The stages continue from the state that they had before the first
of these pieces, so nothing is lost, repeated or cut.
"""

from __future__ import annotations

import copy
import threading
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tts_cli.audio import Samples
from tts_cli.playback import Heard
from tts_cli.playback.ring import Ring
from tts_cli.shaping.stretch import Stretcher
from tts_cli.shaping.volume import Volume

PIECE_SECONDS: Final = 0.2
"""The longest piece. A change begins with a piece."""
MARGIN_SECONDS: Final = 0.4
"""Sound that is played within this time stays as it is."""
SAFE_SECONDS: Final = 0.2
"""How much sound must be left in the ring when later sound is taken out: more than a device asks for at once."""
AT_ONCE_SECONDS: Final = 1.0
"""How much changed sound is computed before the old is taken out of the ring, so that the ring does not run dry."""


@dataclass(slots=True)
class _Stages:
    stretcher: Stretcher
    volume: Volume

    def add(self, samples: Samples, last: bool) -> Samples:
        """Shape the next samples; with `last`, nothing is held back."""
        shaped = self.stretcher.add(samples)
        if last:
            shaped = np.concatenate([shaped, self.stretcher.finish()])
        shaped = self.volume.add(shaped)
        return np.concatenate([shaped, self.volume.finish()]) if last else shaped


@dataclass(slots=True)
class _Piece:
    segment: int
    samples: Samples
    seconds: float
    """How much of the segment comes before it."""
    last: bool = False
    """Whether no sound follows for now, so that the stages hold nothing back."""
    start: int = 0
    """Where its sound begins in the ring, if it is placed."""
    before: _Stages | None = None
    """The state of the stages before it; None if it is placed as it is."""


class Placement:
    """Records which sound is where in a ring. Any thread may call its methods, but only one calls `add` and `end`.

    Parameters
    ----------
    ring
        What the sound is placed in. Nobody else writes to it.
    rate
        Samples a second.

    Examples
    --------
    >>> ring = Ring(48_000)
    >>> placement = Placement(ring, 24_000)
    >>> placement.change(2.0, 0.0)
    >>> placement.add(np.zeros(24_000, np.float32), segment=0)
    >>> placement.end()
    >>> placement.place(), ring.available
    (True, 12000)
    """

    def __init__(self, ring: Ring, rate: int) -> None:
        self._ring = ring
        self._rate = rate
        self._lock = threading.RLock()
        self._speed, self._decibels = 1.0, 0.0
        self._stages: _Stages | None = None
        """None where sound is placed as it is."""
        self._placed: list[_Piece] = []
        self._starts: list[int] = []  # of `_placed`
        self._coming: deque[_Piece] = deque()
        self._shaped = np.zeros(0, np.float32)  # what had no room of the pieces that were placed last
        self._end = 0  # where the next piece begins: the end of the ring and of `_shaped`
        self._segment, self._taken = -1, 0.0  # the segment that is being written, and how many seconds it has so far
        self._wanted = 0
        self._went_to = 0  # where the reader was sent last: what lies before it is not what is heard

    @property
    def segment(self) -> int:
        """The number of the last segment that was written; 0 before the first."""
        return max(0, self._segment)

    def add(self, samples: Samples, segment: int) -> None:
        """Take the next samples `[n]`. They are in the ring when `place` has returned True."""
        size = round(PIECE_SECONDS * self._rate)
        with self._lock:
            if segment != self._segment:
                self._segment, self._taken = segment, 0.0
            for at in range(0, len(samples), size):
                piece = _Piece(segment, samples[at : at + size], self._taken)
                self._taken += len(piece.samples) / self._rate
                self._coming.append(piece)

    def end(self) -> None:
        """No sound follows for now, so nothing is held back."""
        with self._lock:
            self._coming.append(_Piece(self.segment, np.zeros(0, np.float32), self._taken, last=True))

    def place(self) -> bool:
        """Place what there is room for. Returns whether that was everything."""
        while True:
            with self._lock:
                self._shaped = self._shaped[self._ring.write(self._shaped) :]
                if len(self._shaped):
                    return False
                if not self._coming:
                    return True
                piece = self._coming.popleft()
                if piece.segment >= self._wanted:
                    self._shaped = self._through(piece)

    def change(self, speed: float, decibels: float) -> None:
        """Set pace and volume of everything that is not about to be played.

        Parameters
        ----------
        speed
            How many times as fast as it was written the sound is played: 0.25 to 4.
        decibels
            How much louder it becomes, with a limiter; negative: quieter.
        """
        with self._lock:
            self._speed, self._decibels = speed, decibels
            margin = MARGIN_SECONDS
            while not self._placed_again_after(margin):
                margin *= 2  # preparing took too long
        self.place()

    def skip(self, by: int) -> int | None:
        """Let the ring go `by` segments forward, or back if `by` is negative.

        Returns the number of the segment that plays next; None if there is no sound.
        """
        with self._lock:
            begins = [index for index, piece in enumerate(self._placed) if self._begins_segment(index)]
            if not begins:
                return None
            starts, numbers = (
                [getattr(self._placed[index], name) for index in begins] for name in ("start", "segment")
            )
            there = max(0, max(0, bisect_right(starts, self._ring.goal) - 1) + by)
            if there < len(starts):
                self._go_to(starts[there])
                return int(numbers[there])
            self._wanted = int(numbers[-1]) + 1 + there - len(starts)
            self._shaped, self._end = self._shaped[:0], self._ring.written
            self._go_to(self._ring.written)
            return self._wanted

    def seek(self, place: Heard) -> bool:
        """Let the ring go to a place in the text. Returns False if its sound is not in the ring."""
        with self._lock:
            for index, piece in enumerate(self._placed):
                length = len(piece.samples) / self._rate
                if piece.segment == place.segment and piece.seconds <= place.seconds < piece.seconds + length:
                    end = self._starts[index + 1] if index + 1 < len(self._starts) else self._end
                    within = round((end - piece.start) * (place.seconds - piece.seconds) / length)
                    self._go_to(min(piece.start + within, self._ring.written))
                    return True
            return False

    def heard(self, buffered: float) -> Heard | None:
        """What is heard while the reader is so many samples ahead of the listener; None before the first sound."""
        with self._lock:
            position = max(self._ring.goal - buffered, self._went_to)
            index = bisect_right(self._starts, position) - 1
            if index < 0:
                return None
            piece = self._placed[index]
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self._end
            part = min(1.0, (position - piece.start) / max(1, end - piece.start))
            return Heard(piece.segment, piece.seconds + part * len(piece.samples) / self._rate)

    def _go_to(self, position: int) -> None:
        self._went_to = self._ring.want(position)

    def _begins_segment(self, index: int) -> bool:
        return index == 0 or self._placed[index].segment != self._placed[index - 1].segment

    def _placed_again_after(self, margin: float) -> bool:
        """Take what is played after `margin` seconds out of the ring, and place it as it should be now.

        Returns False if that would be too late.
        """
        first = bisect_left(self._starts, self._ring.position + margin * self._rate)
        again = self._placed[first:]
        if self._ring.moving or not again:
            self._set(self._stages)
            return True
        begin, before = again[0].start, again[0].before
        old = self._stages, self._end
        del self._placed[first:], self._starts[first:]
        self._set(before)
        self._end = begin
        ready = [np.zeros(0, np.float32)]
        count = 0
        while count < len(again) and self._end - begin < AT_ONCE_SECONDS * self._rate:
            ready.append(self._through(replace(again[count])))
            count += 1
        if not self._ring.take_back(begin, round(SAFE_SECONDS * self._rate)):
            del self._placed[first:], self._starts[first:]
            self._placed += again
            self._starts += [piece.start for piece in again]
            self._stages, self._end = old
            return False
        self._shaped = np.concatenate(ready)
        self._coming.extendleft(reversed(again[count:]))
        return True

    def _set(self, stages: _Stages | None) -> None:
        """Go on from a state of the stages, at the present pace and volume."""
        if stages is None and (self._speed, self._decibels) == (1.0, 0.0):
            self._stages = None
            return
        self._stages = copy.deepcopy(stages) or _Stages(Stretcher(self._rate), Volume(self._rate))
        self._stages.stretcher.speed, self._stages.volume.decibels = self._speed, self._decibels

    def _through(self, piece: _Piece) -> Samples:
        """Record that a piece begins at the end, and return its sound at the present pace and volume."""
        gone = max(0, bisect_right(self._starts, self._ring.oldest) - 1)
        del self._placed[:gone], self._starts[:gone]
        piece.start, piece.before = self._end, copy.deepcopy(self._stages)
        self._placed.append(piece)
        self._starts.append(piece.start)
        shaped = piece.samples
        if self._stages is not None:
            shaped = self._stages.add(piece.samples, piece.last)
            if piece.last and (self._speed, self._decibels) == (1.0, 0.0):
                self._stages = None  # they hold nothing
        self._end += len(shaped)
        return shaped
