"""Plays what a `Playout` decides, through a sound server. What the server has and should not play is replaced."""

from __future__ import annotations

import threading
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples, raised_cosine
from tts_cli.playback.output_history import OutputHistory
from tts_cli.playback.playout import FADE_SECONDS, Playout
from tts_cli.playback.sound_server import ServerError, SoundServer

LEAST_SECONDS: Final = 0.05
"""What the server stores at least. Down to that, it gets nothing when the next sound is late, rather than silence."""
ABORT_SECONDS: Final = 0.5
"""How long it may take to drop its sound."""


class Output:
    """Asks a `Playout` for sound and gives it to a server, in a thread of its own, from its making on.

    Parameters
    ----------
    server
        What plays. It is closed at the end.
    playout
        What is played.
    rate
        Frames a second.

    Attributes
    ----------
    asked : int
        How many frames the server has asked for.
    underflows : int
        How often it ran dry.
    at_once : float
        How many seconds of sound must be there when playing begins, because the server takes them before it plays them.
    reserve : float
        How many of these seconds it needs in any case. It does without the others while the next sound is late.
    """

    def __init__(self, server: SoundServer, playout: Playout, rate: int) -> None:
        self.asked = self.underflows = 0
        self._server = server
        self._playout = playout
        self._size = round(FADE_SECONDS * rate)
        self._fade = raised_cosine(self._size)[::-1]
        self._length = server.length
        self._rate = rate
        self._least = round(LEAST_SECONDS * rate)
        self._whole = -(-self._length // self._size) * self._size  # in whole blocks
        self.at_once, self.reserve = (self._whole + self._size) / rate, LEAST_SECONDS
        self._stored = 0
        """How much the server stored when it was given sound last."""
        self._sent = OutputHistory(2 * (self._length + server.ahead) + rate)
        self._replaced_at = 0
        self._dry = self._server.ran_dry()
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
        """How many seconds server and device store."""
        return (self._length + self._server.delay) / self._rate

    @property
    def waiting(self) -> float:
        """How many samples of the ring it has taken and not played yet."""
        place = self._sent.place(self._sent.end - self._stored - self._server.delay)
        return 0 if place is None else self._playout.ring.position - place

    def steer(self) -> None:
        """Look at the flags of the playout now."""
        with self._closing:
            if not self._closed:
                self._server.wake()

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
                self._server.turn()
            if self._aborted:
                deadline = time.monotonic() + ABORT_SECONDS
                self._server.flush(lambda: self._ended or time.monotonic() > deadline)
        except ServerError:
            pass  # `active` says so
        finally:
            with self._closing:
                self._closed = True
                self._server.close()

    def _feed(self) -> None:
        """Give the server what it asks for, and replace what it has if that is not what should be heard."""
        playout, sounding = self._playout, self._sounding
        if sounding if playout.silenced else playout.opening and not sounding:
            self._replace()
        elif playout.silenced:
            playout.hush()
        wanted = self._server.writable()
        count = wanted if self._length - wanted < self._least else playout.at_hand(wanted)
        count = count // self._size * self._size
        if count > 0:
            samples, places = self._filled(count)
            self._server.write(samples, self._sent.end)
            self._sent.add(samples, places)
            self.asked += count
        self._stored = self._length - max(0, wanted - count)
        dry = self._server.ran_dry()
        self.underflows += dry != self._dry
        self._dry = dry

    @property
    def _sounding(self) -> bool:
        """Whether the server may have sound that can be replaced."""
        return self._sent.sound_end > max(self._replaced_at, self._sent.end - self._length - 2 * self._server.ahead)

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
        begin = self._server.replace(samples, lambda: self._ended or self._aborted)
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
        if not self._server.fades and (last := sent.last(self._size)).any():
            self._server.write(last * self._fade, begin - self._size)
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
