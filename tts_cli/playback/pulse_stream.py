"""Plays through PulseAudio, or through PipeWire in the same way.

The library has no thread of its own here: it works in `PulseStream.turn`, in the thread that calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ctypes import byref
from typing import Final

import numpy as np

from tts_cli.audio import Samples, raised_cosine
from tts_cli.playback import libpulse
from tts_cli.playback.device_stream import LOOK_SECONDS, STORED_SECONDS, DeviceStream, StreamError
from tts_cli.playback.history import History
from tts_cli.playback.playout import FADE_SECONDS

REQUEST_SECONDS: Final = 0.01
"""What the server asks for at once. Its device stores as much, which cannot be replaced."""
AHEAD_SECONDS: Final = 0.025
"""What is played before replaced samples, so that there is time to fade it out."""
PATIENCE_SECONDS: Final = 5.0
"""How long the server may take to answer when it is opened."""


class PulseStream(DeviceStream):
    """A stream that the user's PulseAudio server plays. See `DeviceStream`.

    Parameters
    ----------
    rate
        Samples a second.

    Raises
    ------
    StreamError
        If there is no server, or it does not play.
    """

    def __init__(self, rate: int) -> None:
        self.delay, self.ahead = round(REQUEST_SECONDS * rate), round(AHEAD_SECONDS * rate)
        length = round(STORED_SECONDS * rate)
        self._fade = raised_cosine(round(FADE_SECONDS * rate))[::-1]
        self._sent = History(2 * (length + self.ahead), np.float32)
        # Playing starts, at first and after it has run dry, when half of the buffer is there.
        sizes = (length, length // 2, self.delay)
        try:
            self._pulse = pulse = libpulse.library()
        except OSError as error:
            raise StreamError(str(error)) from error
        self._loop = pulse.mainloop_new()
        self._context = pulse.context_new(pulse.mainloop_get_api(self._loop), b"tts")
        self._stream: int | None = None
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            self._check(pulse.context_connect(self._context, None, libpulse.NO_AUTOSPAWN, None))
            self._turn_until(lambda: pulse.context_get_state(self._context) == libpulse.CONTEXT_READY, deadline)
            spec = libpulse.SampleSpec(libpulse.FLOAT32, rate, 1)
            self._stream = pulse.stream_new(self._context, b"speech", byref(spec), None)
            attr = libpulse.BufferAttr(libpulse.UNSET, *(4 * samples for samples in sizes), libpulse.UNSET)
            flags = libpulse.EARLY_REQUESTS
            self._check(pulse.stream_connect_playback(self._stream, None, byref(attr), flags, None, None))
            self._turn_until(lambda: pulse.stream_get_state(self._stream) == libpulse.STREAM_READY, deadline)
        except BaseException:
            self.close()
            raise
        self.length = pulse.stream_get_buffer_attr(self._stream).contents.tlength // 4

    def turn(self, seconds: float | None = None) -> None:
        """See `DeviceStream.turn`. What is to be sent is sent first."""
        pulse = self._pulse
        self._check(pulse.mainloop_prepare(self._loop, -1 if seconds is None else round(seconds * 1e6)))
        self._check((pulse.poll if seconds == 0 else pulse.wait)(self._loop))
        self._check(pulse.mainloop_dispatch(self._loop))
        if pulse.context_get_state(self._context) > libpulse.CONTEXT_READY:
            raise self._error()
        if self._stream is not None and pulse.stream_get_state(self._stream) > libpulse.STREAM_READY:
            raise self._error()

    def wake(self) -> None:
        """See `DeviceStream.wake`."""
        self._pulse.mainloop_wakeup(self._loop)

    def writable(self) -> int:
        """See `DeviceStream.writable`."""
        return int(self._pulse.stream_writable_size(self._stream)) // 4

    def write(self, samples: Samples) -> None:
        """See `DeviceStream.write`. After the server has run dry, it drops samples that come too late."""
        self._send(samples, self._sent.end, libpulse.ABSOLUTE)
        self._sent.add(samples)

    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        """See `DeviceStream.replace`.

        The server puts the samples `ahead` after what it has played, and says where that was. There are some
        milliseconds left then to send the samples before that place again, faded out.
        """
        self._send(samples, self.ahead, libpulse.AFTER_PLAYED)
        pulse = self._pulse
        if not self._done(pulse.stream_update_timing_info(self._stream, None, None), ended):
            return None
        begin = int(pulse.stream_get_timing_info(self._stream).contents.write_index) // 4 - len(samples)
        self._sent.cut(begin, 0)
        if (last := self._sent.last(len(self._fade))).any():
            self._send(last * self._fade, begin - len(last), libpulse.ABSOLUTE)
        self._sent.add(samples)
        return begin

    def _send(self, samples: Samples, offset: int, seek: int) -> None:
        """Give the server samples `[n]` for a place, instead of those that it may have."""
        block = np.ascontiguousarray(samples, np.float32)
        self._check(self._pulse.stream_write(self._stream, block.ctypes.data, block.nbytes, None, 4 * offset, seek))
        self.turn(0)  # which sends it

    def ran_dry(self) -> int:
        """See `DeviceStream.ran_dry`. It is the position where that happened last."""
        return int(self._pulse.stream_get_underflow_index(self._stream)) // 4

    def flush(self, ended: Callable[[], bool]) -> None:
        """See `DeviceStream.flush`."""
        self._done(self._pulse.stream_flush(self._stream, None, None), ended)

    def close(self) -> None:
        """See `DeviceStream.close`."""
        pulse = self._pulse
        if self._stream is not None:
            pulse.stream_unref(self._stream)
        pulse.context_disconnect(self._context)
        pulse.context_unref(self._context)
        pulse.mainloop_free(self._loop)

    def _done(self, operation: int | None, ended: Callable[[], bool]) -> bool:
        if operation is None:
            raise self._error()
        try:
            while self._pulse.operation_get_state(operation) == libpulse.RUNNING:
                if ended():
                    return False
                self.turn(LOOK_SECONDS)
        finally:
            self._pulse.operation_unref(operation)
        return True

    def _turn_until(self, ready: Callable[[], bool], deadline: float) -> None:
        while not ready():
            if (left := deadline - time.monotonic()) <= 0:
                raise StreamError("the server does not answer")
            self.turn(left)

    def _check(self, result: int) -> None:
        if result < 0:
            raise self._error()

    def _error(self) -> StreamError:
        return StreamError(self._pulse.strerror(self._pulse.context_errno(self._context)).decode())
