"""Defines what is measured, for the live display, `--json` and every benchmark.

The clock starts when two conditions hold: the engine is ready, and the first segment that has an audible sample is
known. Silent segments before that one do not count. The clock stops while the writer of the text is waited for.

- **TTFA**, time to first audio: from the start of the clock until the first audible sample is given to the sink.
- **Total**: from the start of the clock until the last chunk is given to the sink.
- **Cold start**: from the start of this process until the first audible sample, all waiting included.
- **RTF**, real-time factor: seconds spent computing over seconds of sound computed, in the whole run. Waiting for text
  or for room in the ring is not computing.
- **Gap**: seconds spent computing from one chunk to the next, while the text for it is known.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tts_cli.audio import AudioChunk, first_audible
from tts_cli.segment import Segment

State = Literal[
    "loading", "waiting for text", "computing", "buffering", "speaking", "finishing", "paused", "done", "interrupted"
]


MOST_NOTICES: Final = 100
"""How many notices of one run are stored. A pipe may be spoken for days."""


def process_age() -> float:
    """Seconds since the operating system started this process, in steps of 10 ms on Linux."""
    if sys.platform == "linux":
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil

    return time.time() - float(psutil.Process().create_time())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The measurements at one moment. Times are in seconds; None if it has not happened yet."""

    ttfa: float | None = None
    cold_start: float | None = None
    total: float = 0.0
    computed: float = 0.0
    """Seconds spent computing."""
    sound: float = 0.0
    """Seconds of sound computed."""
    half_computed: float = 0.0
    """Seconds of sound after that for which half of the work is done (`AudioChunk.half_computed`)."""
    longest_gap: float = 0.0
    """The longest time spent computing from one chunk to the next, while the text for it was known."""
    chunks: int = 0
    characters: int = 0
    failed_segments: int = 0
    """Pieces of text that the engine failed on."""
    notices: tuple[str, ...] = ()
    """What is wrong with sound that was given all the same, and the text of it: the first `MOST_NOTICES`."""

    @property
    def rtf(self) -> float | None:
        """Compute time over sound time; None if there is no sound yet."""
        return self.computed / self.sound if self.sound else None


class Meter:
    """Measures one run. One thread calls all methods but `snapshot`, which any thread may call.

    Parameters
    ----------
    clock
        A monotonic clock, in seconds.
    age
        How old this process is, in seconds.

    Examples
    --------
    >>> Meter().snapshot().chunks
    0
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, age: Callable[[], float] = process_age) -> None:
        self._clock = clock
        self._born = clock() - age()
        self._pending: float | None = None  # since when the writer has been waited for
        self._waited = 0.0
        self._texts: dict[int, float] = {}  # when each segment was known; empty when one of them sounds
        self._known: float | None = None  # this and the next two do not count waiting for the writer
        self._audible: float | None = None
        self._last: float | None = None
        self._heard: float | None = None  # when the first audible sample was given, waiting included
        self._sounds = False  # whether anything audible has been computed
        self._computed = 0.0
        self._sound = 0.0
        self._half_computed = 0.0
        self._gap: float | None = None  # seconds of computing since the last chunk; None if a wait is no gap
        self._longest_gap = 0.0
        self._chunks = 0
        self._characters = 0
        self._failed_segments = 0
        self._notices: tuple[str, ...] = ()

    def text_pending(self) -> None:
        """No text is known. The writer is waited for until the next call of another method."""
        if self._pending is None:
            self._pending = self._clock()
        self._gap = None

    def text_known(self, segment: Segment) -> None:
        """The engine is ready and takes this segment. The clock starts with the first segment that sounds."""
        self._characters += len(segment.text)
        now = self._now()
        if not self._sounds:
            self._texts[segment.number] = self._known = now

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Count the time in the block as compute time, except while the writer is waited for."""
        began = self._now()
        try:
            yield
        finally:
            spent = self._now() - began
            self._computed += spent
            if self._gap is not None:
                self._gap += spent

    def segment_failed(self) -> None:
        """The engine has failed on a segment and continues with the next."""
        self._failed_segments += 1

    def noticed(self, notice: str) -> None:
        """Something is wrong with sound that is given all the same."""
        self._notices = (*self._notices, notice)[:MOST_NOTICES]

    def chunk_computed(self, chunk: AudioChunk) -> None:
        """The engine has computed this chunk."""
        self._chunks += 1
        self._sound += chunk.seconds
        self._half_computed = chunk.half_computed
        if not self._sounds and first_audible(chunk.samples) is not None:
            self._sounds = True
            self._known = self._last = self._texts.get(chunk.segment.number)
            self._texts.clear()
        if self._gap is not None:
            self._longest_gap = max(self._longest_gap, self._gap)
            self._gap = 0.0

    def chunk_handed(self, chunk: AudioChunk) -> None:
        """This chunk is given to the sink now."""
        self._last = self._now()
        if self._audible is None and first_audible(chunk.samples) is not None:
            self._audible, self._heard = self._last, self._clock()
        if self._audible is not None:
            self._gap = 0.0

    def snapshot(self) -> Snapshot:
        """All measurements so far. May be called from any thread."""
        audible, known, heard = self._audible, self._known, self._heard
        return Snapshot(
            ttfa=None if audible is None or known is None else audible - known,
            cold_start=None if heard is None else heard - self._born,
            total=0.0 if known is None or self._last is None else self._last - known,
            computed=self._computed,
            sound=self._sound,
            half_computed=self._half_computed,
            longest_gap=self._longest_gap,
            chunks=self._chunks,
            characters=self._characters,
            failed_segments=self._failed_segments,
            notices=self._notices,
        )

    def _now(self) -> float:
        """The time without all waits for the writer. A running wait ends here."""
        now = self._clock()
        if self._pending is not None:
            self._waited += now - self._pending
            self._pending = None
        return now - self._waited
