"""What the tests of sinks write, and a sink into a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from tts_cli.audio import AudioChunk, Samples
from tts_cli.playback.outlet import Outlet
from tts_cli.playback.stream import StreamSink
from tts_cli.segment import Segment

TONE = (0.5 * np.sin(np.arange(48_000) * 2 * np.pi * 220 / 24_000)).astype(np.float32)


@contextmanager
def piped(raw: bool = False) -> Iterator[tuple[StreamSink, Callable[[int], bytes]]]:
    """A sink into a pipe, and what reads so many bytes of it, or what there is after it was closed."""
    ours, theirs = os.pipe()
    sink = StreamSink(Outlet(theirs, "here", owned=True), 24_000, raw)

    def read(size: int) -> bytes:
        data = b""
        while len(data) < size and (more := os.read(ours, size - len(data))):
            data += more
        return data

    try:
        yield sink, read
    finally:
        sink.interrupt()
        sink.close()
        os.close(ours)


def chunk(samples: Samples) -> AudioChunk:
    return AudioChunk(samples, 24_000, Segment.of("Hello."))
