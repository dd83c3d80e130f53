"""TTFA, RTF and their kin, with a clock that we turn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from harness import clean_environment

from tts_cli.audio import AudioChunk
from tts_cli.metrics import Meter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def silence(seconds: float) -> AudioChunk:
    return AudioChunk(np.zeros(round(seconds * 24_000), np.float32))


def sound(seconds: float) -> AudioChunk:
    return AudioChunk(np.full(round(seconds * 24_000), 0.1, np.float32))


def test_ttfa_runs_from_text_to_the_first_audible_sample() -> None:
    clock = Clock()
    meter = Meter(clock, age=lambda: 3.0)
    clock.now += 1
    meter.text_known("Hello.")
    for chunk, compute in ((silence(0.4), 0.5), (sound(0.4), 0.25)):
        with meter.computing():
            clock.now += compute
        meter.chunk_computed(chunk)
        meter.chunk_handed(chunk)
    run = meter.snapshot()
    assert run.ttfa == pytest.approx(0.75)
    assert run.cold_start == pytest.approx(3 + 1 + 0.75)
    assert run.total == pytest.approx(0.75)
    assert run.chunks == 2
    assert run.characters == 6


def test_rtf_counts_computing_and_nothing_else() -> None:
    clock = Clock()
    meter = Meter(clock, age=lambda: 0.0)
    meter.text_known("one")
    for wait in (0.0, 5.0, 0.0):
        clock.now += wait
        with meter.computing():
            clock.now += 0.3
        meter.chunk_computed(sound(0.5))
        meter.chunk_handed(sound(0.5))
        clock.now += 2.0
    run = meter.snapshot()
    assert run.rtf == pytest.approx(0.9 / 1.5)
    assert run.longest_gap == pytest.approx(0.3)


def test_nothing_is_known_before_anything_happened() -> None:
    run = Meter(Clock(), age=lambda: 1.0).snapshot()
    assert (run.ttfa, run.cold_start, run.rtf) == (None, None, None)


def test_process_age_counts_from_the_start_of_the_interpreter() -> None:
    code = (
        "import time; early = time.perf_counter(); from tts_cli.metrics import process_age;"
        "known = time.perf_counter() - early; age = process_age(); print(0 < known <= age + 0.02 < known + 60)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], env=clean_environment()).strip() == b"True"
