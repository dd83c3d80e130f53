"""Feeds a `DeviceStream` with the sound that a `Playout` chooses, and replaces what should not be played any more."""

from __future__ import annotations

import threading
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples
from tts_cli.playback.device_stream import DeviceStream
from tts_cli.playback.history import History
from tts_cli.playback.playout import FADE_SECONDS, Playout

LEAST_SECONDS: Final = 0.05
"""While the next sound is late, nothing is written until the stream stores less than this. Then silence is written."""
ABORT_SECONDS: Final = 0.5
"""How long the stream may take to drop its sound."""


class Output:
    """Asks a `Playout` for sound and gives it to a stream. The constructor starts a thread that does so.

    Parameters
    ----------
    stream
        What plays. It is closed at the end.
    playout
        What is played.
    rate
        Frames a second.

    Attributes
    ----------
    asked : int
        How many frames the stream has asked for.
    underflows : int
        How often it ran dry.
    failure : str
        Why it has ended before `stop` or `abort`, if it has.
    at_once : float
        How many seconds of sound must be there when playing begins, because the stream takes them before it plays them.
    reserve : float
        How many of these seconds it needs in any case. It does without the others while the next sound is late.
    """

    def __init__(self, stream: DeviceStream, playout: Playout, rate: int) -> None:
        self.asked = self.underflows = 0
        self.failure = ""
        self._stream = stream
        self._playout = playout
        self._rate = rate
        self._size = round(FADE_SECONDS * rate)
        self._length = stream.length
        self._least = max(round(LEAST_SECONDS * rate), stream.delay)  # the device may take as much at once
        self._whole = -(-self._length // self._size) * self._size  # in whole blocks
        self.at_once, self.reserve = (self._whole + self._size) / rate, self._least / rate
        self._stored = 0
        """How many samples the stream stored after the last `_feed`."""
        self._places = History(2 * (self._length + stream.ahead) + stream.delay, np.int64)
        """For each frame of the stream, the position in the ring before it."""
        self._sound_end = 0
        """The position in the stream after the last frame that is not silent."""
        self._replaced_at = 0
        self._dry = stream.ran_dry()
        self._ended = self._aborted = self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="play", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether the stream still plays."""
        return not self._closed

    @property
    def latency(self) -> float:
        """How many seconds stream and device store."""
        return (self._length + self._stream.delay) / self._rate

    @property
    def waiting(self) -> float:
        """How many samples of the ring it has taken and not played yet."""
        place = self._places.at(self._places.end - self._stored - self._stream.delay)
        return 0 if place is None else self._playout.ring.position - place

    def steer(self) -> None:
        """Apply changed flags of the playout, or its new place in the ring, as soon as possible."""
        with self._closing:
            if not self._closed:
                self._stream.wake()

    def stop(self) -> None:
        """End at once, and give the device back."""
        self._ended = True
        self.steer()
        self._thread.join()

    def abort(self) -> None:
        """Be silent at once, and end."""
        self._aborted = True
        self.steer()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended and not self._aborted:
                self._feed()
                self._stream.turn()
            if self._aborted:
                deadline = time.monotonic() + ABORT_SECONDS
                self._stream.flush(lambda: self._ended or time.monotonic() > deadline)
        except Exception as error:  # noqa: BLE001  the thread that writes raises it
            self.failure = str(error)
        finally:
            with self._closing:  # nobody wakes a stream that is closed
                self._closed = True
            self._stream.close()

    def _feed(self) -> None:
        """Give the stream what it asks for, and replace what it has if that should not be heard any more."""
        playout, has_sound = self._playout, self._has_sound
        if has_sound if playout.silenced else playout.opening and not has_sound:
            self._replace()
        elif playout.silenced:
            playout.hush()
        wanted = self._stream.writable()
        count = wanted if self._length - wanted < self._least else playout.at_hand(wanted)
        count = count // self._size * self._size
        if count > 0:
            samples, places = self._filled(count)
            self._stream.write(samples)
            self._add(samples, places)
            self.asked += count
        self._stored = self._length - max(0, wanted - count)
        dry = self._stream.ran_dry()
        self.underflows += dry != self._dry
        self._dry = dry

    @property
    def _has_sound(self) -> bool:
        """Whether the stream may have sound that can be replaced."""
        return self._sound_end > max(self._replaced_at, self._places.end - self._length - 2 * self._stream.ahead)

    def _replace(self) -> None:
        """Replace what the stream has, after a fade, by what should be heard."""
        playout, ring = self._playout, self._playout.ring
        paused = playout.silenced and not ring.moving  # read once: both may change meanwhile
        starving = playout.starving
        playout.hush()
        if paused:
            samples, places = np.zeros(self._whole, np.float32), np.full(self._whole, ring.position)
        else:
            samples, places = self._filled(self._whole)
        begin = self._stream.replace(samples, lambda: self._ended or self._aborted)
        if begin is None:
            return
        if (place := self._places.at(begin)) is not None:
            if paused:
                playout.take_back(ring.position - place)
                places[:] = place
            elif starving:
                playout.starved_frames -= self._places.end - begin
        self._places.cut(begin, self._places.last(1)[0])
        self._sound_end = min(self._sound_end, begin)
        self._add(samples, places)
        self._replaced_at = begin

    def _add(self, samples: Samples, places: npt.NDArray[np.int64]) -> None:
        """Record what was written to the stream."""
        loud = np.flatnonzero(samples)
        if len(loud):
            self._sound_end = self._places.end + int(loud[-1]) + 1
        self._places.add(places)

    def _filled(self, count: int) -> tuple[Samples, npt.NDArray[np.int64]]:
        """The next samples `[count]` of the playout, and the positions in the ring before each of them."""
        ring = self._playout.ring
        samples, places = np.empty(count, np.float32), np.empty(count, np.int64)
        for start in range(0, count, self._size):
            block = samples[start : start + self._size]
            begin, moves = ring.position, ring.moves
            self._playout.fill(block)
            if ring.moves != moves:
                begin = places[:start] = ring.position
                self._places.overwrite(begin)
            places[start : start + self._size] = np.minimum(begin + np.arange(self._size), ring.position)
        return samples, places
