"""The part of PulseAudio's client library, libpulse, that playing needs.

https://freedesktop.org/software/pulseaudio/doxygen/ describes it.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, c_char_p, c_int, c_int64, c_long, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any, Final

FLOAT32: Final = 5
NO_AUTOSPAWN: Final = 1
EARLY_REQUESTS: Final = 0x4000
"""The server asks for sound as soon as it has played some, and its device holds little more than it asks for."""
ABSOLUTE: Final = 1
AFTER_PLAYED: Final = 2
CONTEXT_READY: Final = 4
STREAM_READY: Final = 2
RUNNING: Final = 0
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


@functools.cache
def library() -> Any:
    """libpulse, with the types of its functions. Raises `OSError` where it is not installed.

    None of the functions waits, except `wait`. So they keep Python's lock: releasing it and taking it again could
    take milliseconds.
    """
    pulse: Any = ctypes.PyDLL("libpulse.so.0")
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
        function = pulse["pa_" + name]
        function.restype, function.argtypes = result, arguments
        setattr(pulse, name, function)
    pulse.poll = pulse["pa_mainloop_poll"]
    pulse.wait = ctypes.CDLL("libpulse.so.0")["pa_mainloop_poll"]  # lets other threads run meanwhile
    pulse.poll.argtypes = pulse.wait.argtypes = [c_void_p]
    return pulse
