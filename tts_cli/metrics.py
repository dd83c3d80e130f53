"""The one definition of what is measured, shared by the live display, `--json` and every benchmark.

The clock runs from the moment that the *text that sounds* is known: the first segment in which the engine finds an
audible sample. Segments without sound before it are not in it. It stands still while the writer is waited for.

- **TTFA**, time to first audio: from "text known, engine ready" to the first *audible* sample handed to the sink.
- **Total**: from the same moment to the last chunk handed to the sink.
- **Cold start**: from the start of this process to the first audible sample, by the clock on the wall: waiting counts.
- **RTF**, real-time factor: seconds spent computing over seconds of sound computed, for the whole run. Waiting for text
  or for room in the playback buffer is not computing.
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
"""Notices of one run that are kept; a pipe may be spoken for days."""


def process_age() -> float:
    """Seconds since this process started, by the operating system's account (10 ms steps on Linux)."""
    if sys.platform == "linux":
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil

    return time.time() - float(psutil.Process().create_time())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment. Times in seconds; None for what has not happened yet."""

    ttfa: float | None = None
    cold_start: float | None = None
    total: float = 0.0
    computed: float = 0.0
    """Seconds spent computing."""
    sound: float = 0.0
    """Seconds of sound computed."""
    longest_gap: float = 0.0
    """The longest time spent computing from one chunk to the next, while the text for it was known."""
    chunks: int = 0
    characters: int = 0
    failed_segments: int = 0
    """Pieces of text that the engine failed on."""
    notices: tuple[str, ...] = ()
    """What is wrong with speech that was spoken all the same, and of which text: the first `MOST_NOTICES`."""

    @property
    def rtf(self) -> float | None:
        """Compute time over sound time; None before there is sound."""
        return self.computed / self.sound if self.sound else None


class Meter:
    """Takes the time of one run. `clock` is monotonic, in seconds; `age` is the process's age in seconds.

    One thread writes: everything but `snapshot`.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, age: Callable[[], float] = process_age) -> None:
        self._clock = clock
        self._born = clock() - age()
        self._pending: float | None = None  # since when the writer is waited for
        self._waited = 0.0
        self._texts: dict[int, float] = {}  # when each segment was known; empty once one of them sounds
        self._known: float | None = None  # these three count without the time that the writer was waited for
        self._audible: float | None = None
        self._last: float | None = None
        self._heard: float | None = None  # the first audible sample, by the clock on the wall
        self._sounds = False  # whether anything audible has been computed
        self._computed = 0.0
        self._sound = 0.0
        self._gap: float | None = None  # computing since the last chunk; None where no sound waits for the next one
        self._longest_gap = 0.0
        self._chunks = 0
        self._characters = 0
        self._failed_segments = 0
        self._notices: tuple[str, ...] = ()

    def text_pending(self) -> None:
        """No text is known: from now on the writer is waited for, until there is something to do again."""
        if self._pending is None:
            self._pending = self._clock()
        self._gap = None

    def text_known(self, segment: Segment) -> None:
        """The engine is ready and this text is to be spoken. The first text that sounds starts TTFA's clock."""
        self._characters += len(segment.text)
        now = self._now()
        if not self._sounds:
            self._texts[segment.number] = self._known = now

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Counts the time inside as compute time, without the time that the writer is waited for."""
        began = self._now()
        try:
            yield
        finally:
            spent = self._now() - began
            self._computed += spent
            if self._gap is not None:
                self._gap += spent

    def segment_failed(self) -> None:
        """The engine has failed on a piece of text, and goes on with the next."""
        self._failed_segments += 1

    def noticed(self, notice: str) -> None:
        """Something is wrong with speech that is spoken all the same."""
        self._notices = (*self._notices, notice)[:MOST_NOTICES]

    def chunk_computed(self, chunk: AudioChunk) -> None:
        """An engine has given this chunk."""
        self._chunks += 1
        self._sound += chunk.seconds
        if not self._sounds and first_audible(chunk.samples) is not None:
            self._sounds = True
            self._known = self._last = self._texts.get(chunk.segment.number)
            self._texts.clear()
        if self._gap is not None:
            self._longest_gap = max(self._longest_gap, self._gap)
            self._gap = 0.0

    def chunk_handed(self, chunk: AudioChunk) -> None:
        """This chunk goes to the sink now."""
        self._last = self._now()
        if self._audible is None and first_audible(chunk.samples) is not None:
            self._audible, self._heard = self._last, self._clock()
        if self._audible is not None:
            self._gap = 0.0

    def snapshot(self) -> Snapshot:
        """Everything so far. May be called from any thread."""
        audible, known, heard = self._audible, self._known, self._heard
        return Snapshot(
            ttfa=None if audible is None or known is None else audible - known,
            cold_start=None if heard is None else heard - self._born,
            total=0.0 if known is None or self._last is None else self._last - known,
            computed=self._computed,
            sound=self._sound,
            longest_gap=self._longest_gap,
            chunks=self._chunks,
            characters=self._characters,
            failed_segments=self._failed_segments,
            notices=self._notices,
        )

    def _now(self) -> float:
        """The time, without all waiting for the writer, which ends here."""
        now = self._clock()
        if self._pending is not None:
            self._waited += now - self._pending
            self._pending = None
        return now - self._waited
