"""Plays through PulseAudio. What waits in the server's buffer is replaced when it should not be heard any more."""

from __future__ import annotations

import threading
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples, raised_cosine
from tts_cli.playback.libpulse import Buffer, Connection, PulseError
from tts_cli.playback.output import Output
from tts_cli.playback.output_history import OutputHistory
from tts_cli.playback.playout import FADE_SECONDS, Playout

BUFFER_SECONDS: Final = 0.2
"""What the server stores, and so for how long this process may be kept from running."""
LEAST_SECONDS: Final = 0.05
"""What it stores at least. Down to that, it gets nothing when the next sound is late, rather than silence."""
REQUEST_SECONDS: Final = 0.01
"""What the server asks for at once. Its device stores as much, which cannot be replaced."""
AHEAD_SECONDS: Final = 0.025
"""What is played before replaced sound, so that there is time to fade it out."""
PATIENCE_SECONDS: Final = 5.0
"""How long the server may take to answer when it is opened."""
ABORT_SECONDS: Final = 0.5
"""How long it may take to drop its sound."""


class PulseOutput(Output):
    """Plays on the user's PulseAudio server, mono.

    Parameters
    ----------
    playout
        What is played. It is filled in a thread of this output.
    rate
        Frames a second.

    Raises
    ------
    PulseError
        If there is no server, or it does not play.
    """

    def __init__(self, playout: Playout, rate: int) -> None:
        self._playout = playout
        self._size = round(FADE_SECONDS * rate)
        self._fade = raised_cosine(self._size)[::-1]
        self._ahead = round(AHEAD_SECONDS * rate)
        length = round(BUFFER_SECONDS * rate)
        buffer = Buffer(length, round(REQUEST_SECONDS * rate), length // 2)
        self._connection = Connection("speech", rate, buffer, PATIENCE_SECONDS)
        self._length = self._connection.length
        self._rate = rate
        self._least = round(LEAST_SECONDS * rate)
        self._whole = -(-self._length // self._size) * self._size  # in whole blocks
        self.at_once, self.reserve = (self._whole + self._size) / rate, LEAST_SECONDS
        self._stored = 0
        """How much the server stored when it was given sound last."""
        self._sent = OutputHistory(2 * (self._length + self._ahead))
        self._replaced_at = 0
        self._dry = self._connection.ran_dry()
        self._ended = self._aborted = self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="play", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether the server still plays."""
        return not self._closed

    @property
    def latency(self) -> float:
        """What the server stores. Its device stores a little more."""
        return self._length / self._rate

    @property
    def waiting(self) -> float:
        """What of the ring's sound is in the part of the stream that was not played yet."""
        place = self._sent.place(self._sent.end - self._stored)
        return 0 if place is None else self._playout.ring.position - place

    def steer(self) -> None:
        """Look at the flags of the playout now."""
        with self._closing:
            if not self._closed:
                self._connection.wake()

    def stop(self) -> None:
        """End at once."""
        self._ended = True
        self.steer()
        self._thread.join()

    def abort(self) -> None:
        """Let the server drop what it has."""
        self._aborted = True
        self.steer()
        self._thread.join()

    def close(self) -> None:
        """End the connection."""
        self.stop()

    def _run(self) -> None:
        try:
            while not self._ended and not self._aborted:
                self._feed()
                self._connection.turn()
            if self._aborted:
                deadline = time.monotonic() + ABORT_SECONDS
                self._connection.flush(lambda: self._ended or time.monotonic() > deadline)
        except PulseError:
            pass  # `active` says so
        finally:
            with self._closing:
                self._closed = True
                self._connection.close()

    def _feed(self) -> None:
        """Give the server what it asks for, and replace what it has if that is not what should be heard."""
        playout, sounding = self._playout, self._sounding
        if sounding if playout.silenced else playout.opening and not sounding:
            self._replace()
        elif playout.silenced:
            playout.hush()
        wanted = self._connection.writable()
        count = wanted if self._length - wanted < self._least else playout.at_hand(wanted)
        count = count // self._size * self._size
        if count > 0:
            samples, places = self._filled(count)
            self._connection.write(samples, self._sent.end)
            self._sent.add(samples, places)
            self.asked += count
        self._stored = self._length - max(0, wanted - count)
        dry = self._connection.ran_dry()
        self.underflows += dry != self._dry
        self._dry = dry

    @property
    def _sounding(self) -> bool:
        """Whether the server may have sound that can be replaced."""
        return self._sent.sound_end > max(self._replaced_at, self._sent.end - self._length - 2 * self._ahead)

    def _replace(self) -> None:
        """Replace what the server has, after a fade, by what should be heard."""
        sent, playout, ring = self._sent, self._playout, self._playout.ring
        paused = playout.silenced and not ring.moving  # read once: both may change meanwhile
        starving = playout.starving
        playout.hush()
        if paused:
            samples, places = np.zeros(self._whole, np.float32), np.full(self._whole, ring.position)
        else:
            samples, places = self._filled(self._whole)
        begin = self._connection.replace(samples, self._ahead, lambda: self._ended or self._aborted)
        if begin is None:
            return
        place = sent.place(begin)
        if place is not None:
            if paused:
                playout.take_back(ring.position - place)
                places[:] = place
            elif starving:
                playout.starved_frames -= sent.end - begin
        sent.cut(begin)
        if (last := sent.last(self._size)).any():
            self._connection.write(last * self._fade, begin - self._size)
        sent.add(samples, places)
        self._replaced_at = begin

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
                self._sent.moved(begin)
            places[start : start + self._size] = np.minimum(begin + np.arange(self._size), ring.position)
        return samples, places
