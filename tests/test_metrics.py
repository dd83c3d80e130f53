"""TTFA, RTF and their kin, with a clock that we turn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.harness import clean_environment
from tts_cli.audio import AudioChunk, Samples
from tts_cli.metrics import Meter
from tts_cli.segment import Segment


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * 24_000), np.float32)


def sound(seconds: float) -> Samples:
    return np.full(round(seconds * 24_000), 0.1, np.float32)


class Watched:
    """A meter and the clock that it reads."""

    def __init__(self, age: float = 0.0) -> None:
        self.clock = Clock()
        self.meter = Meter(self.clock, age=lambda: age)
        self.segment = Segment.of("", number=-1)

    def know(self, text: str) -> None:
        self.segment = Segment.of(text, self.segment.number + 1)
        self.meter.text_known(self.segment)

    def compute(self, seconds: float, samples: Samples | None = None, handed: bool = True) -> None:
        with self.meter.computing():
            self.clock.now += seconds
        if samples is not None:
            self.meter.chunk_computed(self.chunk(samples))
            if handed:
                self.meter.chunk_handed(self.chunk(samples))

    def chunk(self, samples: Samples) -> AudioChunk:
        return AudioChunk(samples, 24_000, self.segment)

    def wait_for_text(self, seconds: float) -> None:
        self.meter.text_pending()
        self.clock.now += seconds


def test_ttfa_runs_from_text_to_the_first_audible_sample() -> None:
    run = Watched(age=3.0)
    run.clock.now += 1
    run.know("Hello.")
    run.compute(0.5, silence(0.4))
    run.compute(0.25, sound(0.4))
    found = run.meter.snapshot()
    assert found.ttfa == pytest.approx(0.75)
    assert found.cold_start == pytest.approx(3 + 1 + 0.75)
    assert found.total == pytest.approx(0.75)
    assert found.chunks == 2
    assert found.characters == 6


def test_sentences_without_sound_and_waiting_for_the_writer_are_not_in_ttfa_and_total() -> None:
    run = Watched(age=1.0)
    run.know("[laugh]")
    run.compute(0.1)
    run.wait_for_text(3.0)
    run.know("[sigh]")
    run.compute(0.1, silence(0.2))
    run.know("Hello.")
    run.compute(0.2, sound(0.4))
    run.wait_for_text(5.0)
    run.know("Hello.")
    run.compute(0.3, sound(0.4))
    found = run.meter.snapshot()
    assert found.ttfa == pytest.approx(0.2)
    assert found.total == pytest.approx(0.5)
    assert found.computed == pytest.approx(0.7)
    assert found.cold_start == pytest.approx(1 + 0.1 + 3 + 0.1 + 0.2), "a clock on the wall counts everything"


def test_simple_mode_counts_from_the_first_text_that_sounds_without_waiting_for_the_rest() -> None:
    run = Watched()
    for text, chunk in (("[laugh]", None), ("one", sound(0.4)), ("two", sound(0.4))):
        run.wait_for_text(2.0)
        run.know(text)
        run.compute(0.3, chunk, handed=False)
    run.wait_for_text(2.0)
    for _ in range(2):
        run.meter.chunk_handed(run.chunk(sound(0.4)))
        run.clock.now += 0.1
    found = run.meter.snapshot()
    assert found.ttfa == pytest.approx(0.6)
    assert found.total == pytest.approx(0.7)
    assert found.longest_gap == 0


def test_rtf_counts_computing_and_nothing_else() -> None:
    run = Watched()
    run.know("one")
    for wait in (0.0, 5.0, 0.0):
        run.clock.now += wait
        run.compute(0.3, sound(0.5))
        run.clock.now += 2.0
    found = run.meter.snapshot()
    assert found.rtf == pytest.approx(0.9 / 1.5)
    assert found.longest_gap == pytest.approx(0.3)


def test_a_gap_is_all_computing_between_two_chunks_unless_the_writer_was_waited_for() -> None:
    run = Watched()
    run.know("one")
    run.compute(9.0, sound(0.5))
    run.compute(0.1)
    run.know("[laugh]")
    run.compute(0.2)
    run.know("two")
    run.compute(0.3, sound(0.5))
    run.compute(0.1)
    run.wait_for_text(1.0)
    run.know("three")
    run.compute(7.0, sound(0.5))
    assert run.meter.snapshot().longest_gap == pytest.approx(0.6)
    run.compute(0.8, sound(0.5))
    assert run.meter.snapshot().longest_gap == pytest.approx(0.8)


def test_nothing_is_known_before_anything_happened() -> None:
    run = Meter(Clock(), age=lambda: 1.0).snapshot()
    assert (run.ttfa, run.cold_start, run.rtf) == (None, None, None)


def test_process_age_counts_from_the_start_of_the_interpreter() -> None:
    code = (
        "import time; early = time.perf_counter(); from tts_cli.metrics import process_age;"
        "known = time.perf_counter() - early; age = process_age(); print(0 < known <= age + 0.02 < known + 60)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], env=clean_environment()).strip() == b"True"


def test_notices_are_kept_in_order_and_not_without_end() -> None:
    meter = Watched().meter
    for number in range(300):
        meter.noticed(f"notice {number}")
    assert meter.snapshot().notices == tuple(f"notice {number}" for number in range(100))
