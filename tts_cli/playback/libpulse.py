"""Plays through PulseAudio, by its client library: https://freedesktop.org/software/pulseaudio/doxygen/.

The library has no thread of its own here: it works in `turn`, in the thread that calls it. None of its calls waits
except the poll in `turn`, so they keep Python's interpreter; giving it away and getting it back in between could
take milliseconds.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_long, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any, Final

import numpy as np

from tts_cli.audio import Samples
from tts_cli.playback.sound_server import ServerError, SoundServer

FLOAT32: Final = 5
NO_AUTOSPAWN: Final = 1
EARLY_REQUESTS: Final = 0x4000
"""The server asks for sound as soon as it has played some, and its device holds little more than it asks for."""
ABSOLUTE: Final = 1
AFTER_PLAYED: Final = 2
CONTEXT_READY: Final = 4
STREAM_READY: Final = 2
RUNNING: Final = 0
ANSWER_SECONDS: Final = 0.1
"""How often a wait for an answer looks whether it should end."""
UNSET: Final = 0xFFFF_FFFF
BUFFER_SECONDS: Final = 0.2
"""What the server stores, and so for how long this process may be kept from running."""
REQUEST_SECONDS: Final = 0.01
"""What the server asks for at once. Its device stores as much, which cannot be replaced."""
AHEAD_SECONDS: Final = 0.025
"""What is played before replaced sound, so that there is time to fade it out."""
PATIENCE_SECONDS: Final = 5.0
"""How long the server may take to answer when it is opened."""


class SampleSpec(ctypes.Structure):
    """`pa_sample_spec`."""

    _fields_ = (("format", c_int), ("rate", c_uint32), ("channels", c_uint8))


class BufferAttr(ctypes.Structure):
    """`pa_buffer_attr`, in bytes."""

    _fields_ = tuple((name, c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


class TimingInfo(ctypes.Structure):
    """`pa_timing_info`: microseconds, and indices in bytes."""

    _fields_ = (
        ("seconds", c_long),
        ("microseconds", c_long),
        ("synchronized_clocks", c_int),
        ("sink_usec", c_uint64),
        ("source_usec", c_uint64),
        ("transport_usec", c_uint64),
        ("playing", c_int),
        ("write_index_corrupt", c_int),
        ("write_index", c_int64),
        ("read_index_corrupt", c_int),
        ("read_index", c_int64),
        ("configured_sink_usec", c_uint64),
        ("configured_source_usec", c_uint64),
        ("since_underrun", c_int64),
    )


@functools.cache
def _library() -> Any:
    """libpulse, with the types of its functions. Raises `OSError` where it is not installed."""
    library: Any = ctypes.PyDLL("libpulse.so.0")
    types: dict[str, tuple[Any, list[Any]]] = {
        "mainloop_new": (c_void_p, []),
        "mainloop_get_api": (c_void_p, [c_void_p]),
        "mainloop_prepare": (c_int, [c_void_p, c_int]),
        "mainloop_dispatch": (c_int, [c_void_p]),
        "mainloop_wakeup": (None, [c_void_p]),
        "mainloop_free": (None, [c_void_p]),
        "context_new": (c_void_p, [c_void_p, c_char_p]),
        "context_connect": (c_int, [c_void_p, c_char_p, c_int, c_void_p]),
        "context_get_state": (c_int, [c_void_p]),
        "context_errno": (c_int, [c_void_p]),
        "context_disconnect": (None, [c_void_p]),
        "context_unref": (None, [c_void_p]),
        "stream_new": (c_void_p, [c_void_p, c_char_p, POINTER(SampleSpec), c_void_p]),
        "stream_connect_playback": (c_int, [c_void_p, c_char_p, POINTER(BufferAttr), c_int, c_void_p, c_void_p]),
        "stream_get_state": (c_int, [c_void_p]),
        "stream_get_buffer_attr": (POINTER(BufferAttr), [c_void_p]),
        "stream_writable_size": (c_size_t, [c_void_p]),
        "stream_write": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_int64, c_int]),
        "stream_update_timing_info": (c_void_p, [c_void_p, c_void_p, c_void_p]),
        "stream_get_timing_info": (POINTER(TimingInfo), [c_void_p]),
        "stream_get_underflow_index": (c_int64, [c_void_p]),
        "stream_flush": (c_void_p, [c_void_p, c_void_p, c_void_p]),
        "stream_unref": (None, [c_void_p]),
        "operation_get_state": (c_int, [c_void_p]),
        "operation_unref": (None, [c_void_p]),
        "strerror": (c_char_p, [c_int]),
    }
    for name, (result, arguments) in types.items():
        function = library["pa_" + name]
        function.restype, function.argtypes = result, arguments
        setattr(library, name, function)
    library.poll = library["pa_mainloop_poll"]
    library.wait = ctypes.CDLL("libpulse.so.0")["pa_mainloop_poll"]  # lets other threads run meanwhile
    library.poll.argtypes = library.wait.argtypes = [c_void_p]
    return library


class PulseServer(SoundServer):
    """The user's PulseAudio server, with one stream that it plays. See `SoundServer`.

    Parameters
    ----------
    rate
        Samples a second.

    Raises
    ------
    ServerError
        If there is no server, or it does not play.
    """

    fades = False

    def __init__(self, rate: int) -> None:
        self.delay, self.ahead = round(REQUEST_SECONDS * rate), round(AHEAD_SECONDS * rate)
        length = round(BUFFER_SECONDS * rate)
        # Playing starts, at first and after it has run dry, when half of the buffer is there.
        sizes = (length, length // 2, self.delay)
        try:
            self._pulse = pulse = _library()
        except OSError as error:
            raise ServerError(str(error)) from error
        self._loop = pulse.mainloop_new()
        self._context = pulse.context_new(pulse.mainloop_get_api(self._loop), b"tts")
        self._stream: int | None = None
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            self._check(pulse.context_connect(self._context, None, NO_AUTOSPAWN, None))
            self._turn_until(lambda: pulse.context_get_state(self._context) == CONTEXT_READY, deadline)
            spec = SampleSpec(FLOAT32, rate, 1)
            self._stream = pulse.stream_new(self._context, b"speech", byref(spec), None)
            attr = BufferAttr(UNSET, *(4 * samples for samples in sizes), UNSET)
            self._check(pulse.stream_connect_playback(self._stream, None, byref(attr), EARLY_REQUESTS, None, None))
            self._turn_until(lambda: pulse.stream_get_state(self._stream) == STREAM_READY, deadline)
        except BaseException:
            self.close()
            raise
        self.length = pulse.stream_get_buffer_attr(self._stream).contents.tlength // 4

    def turn(self, seconds: float | None = None) -> None:
        """See `SoundServer.turn`. What is to be sent is sent first."""
        pulse = self._pulse
        self._check(pulse.mainloop_prepare(self._loop, -1 if seconds is None else round(seconds * 1e6)))
        self._check((pulse.poll if seconds == 0 else pulse.wait)(self._loop))
        self._check(pulse.mainloop_dispatch(self._loop))
        context, stream = pulse.context_get_state(self._context), self._stream
        if context > CONTEXT_READY or (stream is not None and pulse.stream_get_state(stream) > STREAM_READY):
            raise self._error()

    def wake(self) -> None:
        """See `SoundServer.wake`."""
        self._pulse.mainloop_wakeup(self._loop)

    def writable(self) -> int:
        """See `SoundServer.writable`."""
        return int(self._pulse.stream_writable_size(self._stream)) // 4

    def write(self, samples: Samples, position: int) -> None:
        """See `SoundServer.write`. What was played already is dropped."""
        self._send(samples, position, ABSOLUTE)

    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        """See `SoundServer.replace`."""
        self._send(samples, self.ahead, AFTER_PLAYED)
        pulse = self._pulse
        if not self._done(pulse.stream_update_timing_info(self._stream, None, None), ended):
            return None
        return int(pulse.stream_get_timing_info(self._stream).contents.write_index) // 4 - len(samples)

    def _send(self, samples: Samples, offset: int, seek: int) -> None:
        block = np.ascontiguousarray(samples, np.float32)
        self._check(self._pulse.stream_write(self._stream, block.ctypes.data, block.nbytes, None, 4 * offset, seek))
        self.turn(0)  # which sends it

    def ran_dry(self) -> int:
        """The position where the stream ran dry last; negative before that has happened."""
        return int(self._pulse.stream_get_underflow_index(self._stream)) // 4

    def flush(self, ended: Callable[[], bool]) -> None:
        """See `SoundServer.flush`."""
        self._done(self._pulse.stream_flush(self._stream, None, None), ended)

    def close(self) -> None:
        """See `SoundServer.close`."""
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
            while self._pulse.operation_get_state(operation) == RUNNING:
                if ended():
                    return False
                self.turn(ANSWER_SECONDS)
        finally:
            self._pulse.operation_unref(operation)
        return True

    def _turn_until(self, ready: Callable[[], bool], deadline: float) -> None:
        while not ready():
            if (left := deadline - time.monotonic()) <= 0:
                raise ServerError("the server does not answer")
            self.turn(left)

    def _check(self, result: int) -> None:
        if result < 0:
            raise self._error()

    def _error(self) -> ServerError:
        return ServerError(self._pulse.strerror(self._pulse.context_errno(self._context)).decode())
