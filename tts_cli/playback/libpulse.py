"""The part of PulseAudio's client library, libpulse, that playing needs: https://freedesktop.org/software/pulseaudio/doxygen/.

The library has no thread of its own here: it works in `Loop.turn`, in the thread that calls it. None of its calls waits
except the poll in `Loop.turn`, so they keep Python's interpreter; giving it away and getting it back in between could
take milliseconds.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_long, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tts_cli.audio import Samples

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


class PulseError(Exception):
    """The server cannot be reached, or it has ended the connection."""


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


@dataclass(frozen=True, slots=True)
class Buffer:
    """What a server should store of a stream, in samples."""

    length: int
    """How much."""
    request: int
    """The least that it asks for at once; its device stores little more."""
    start: int
    """How much must be there before it plays, at first and after it has run dry."""


class Connection:
    """A connection to the user's PulseAudio server, with one stream of mono float32 that it plays.

    One thread at a time may call the methods; `wake` may be called by others.

    Parameters
    ----------
    title
        What volume controls show.
    rate
        Samples a second.
    buffer
        What the server should store.
    patience
        How many seconds it may take to answer.

    Attributes
    ----------
    length : int
        How many samples the server does store.

    Raises
    ------
    PulseError
        If there is no server, or it does not play.
    """

    def __init__(self, title: str, rate: int, buffer: Buffer, patience: float) -> None:
        try:
            self._pulse = pulse = _library()
        except OSError as error:
            raise PulseError(str(error)) from error
        self._loop = pulse.mainloop_new()
        self._context = pulse.context_new(pulse.mainloop_get_api(self._loop), b"tts")
        self._stream: int | None = None
        deadline = time.monotonic() + patience
        try:
            self._check(pulse.context_connect(self._context, None, NO_AUTOSPAWN, None))
            self._turn_until(lambda: pulse.context_get_state(self._context) == CONTEXT_READY, deadline)
            spec = SampleSpec(FLOAT32, rate, 1)
            self._stream = pulse.stream_new(self._context, title.encode(), byref(spec), None)
            attr = BufferAttr(UNSET, *(4 * samples for samples in (buffer.length, buffer.start, buffer.request)), UNSET)
            self._check(pulse.stream_connect_playback(self._stream, None, byref(attr), EARLY_REQUESTS, None, None))
            self._turn_until(lambda: pulse.stream_get_state(self._stream) == STREAM_READY, deadline)
        except BaseException:
            self.close()
            raise
        self.length: int = pulse.stream_get_buffer_attr(self._stream).contents.tlength // 4

    def turn(self, seconds: float | None = None) -> None:
        """Send what is to be sent, wait for news (at most `seconds`, if given), and receive them.

        Raises
        ------
        PulseError
            If the server has ended the connection or the stream.
        """
        pulse = self._pulse
        self._check(pulse.mainloop_prepare(self._loop, -1 if seconds is None else round(seconds * 1e6)))
        self._check((pulse.poll if seconds == 0 else pulse.wait)(self._loop))
        self._check(pulse.mainloop_dispatch(self._loop))
        context, stream = pulse.context_get_state(self._context), self._stream
        if context > CONTEXT_READY or (stream is not None and pulse.stream_get_state(stream) > STREAM_READY):
            raise self._error()

    def wake(self) -> None:
        """End the wait of `turn`."""
        self._pulse.mainloop_wakeup(self._loop)

    def writable(self) -> int:
        """How many samples the server asks for."""
        return int(self._pulse.stream_writable_size(self._stream)) // 4

    def write(self, samples: Samples, position: int) -> None:
        """Give the server samples `[n]` for a position, instead of those that it may have.

        Positions count samples from the beginning of the stream. What was played already is dropped.
        """
        self._send(samples, position, ABSOLUTE)

    def replace(self, samples: Samples, after: int, ended: Callable[[], bool]) -> int | None:
        """Give the server samples `[n]` to be played `after` samples after those that it has played.

        They take the place of those that the server may have. Its device has more sound, which is played before.

        Parameters
        ----------
        samples
            The sound.
        after
            How many samples of what the server has are still played.
        ended
            Asked while the answer is waited for.

        Returns
        -------
        int or None
            The position that the samples have got; None if `ended` became true while the server did not answer.
        """
        self._send(samples, after, AFTER_PLAYED)
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
        """Let the server drop what it has. Returns when it has, or when `ended` becomes true."""
        self._done(self._pulse.stream_flush(self._stream, None, None), ended)

    def close(self) -> None:
        """End the connection. The server drops what it has."""
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
                raise PulseError("the server does not answer")
            self.turn(left)

    def _check(self, result: int) -> None:
        if result < 0:
            raise self._error()

    def _error(self) -> PulseError:
        return PulseError(self._pulse.strerror(self._pulse.context_errno(self._context)).decode())
