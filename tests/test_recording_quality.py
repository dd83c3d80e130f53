"""What is said about recordings that are good, and about those that are not."""

from __future__ import annotations

import numpy as np
import pytest

from tts_cli.audio import Samples, as_samples
from tts_cli.recording_quality import faults, level

RATE = 16_000


def reading(seconds: float, loud: float = 0.2, noise: float = 0.0005) -> Samples:
    """Syllables and pauses, with noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1) * (np.sin(2 * np.pi * 0.25 * time) > -0.8)
    buzz = sum(np.sin(2 * np.pi * 130 * harmonic * time) / harmonic for harmonic in range(1, 6))
    return as_samples(loud * syllables * buzz + np.random.default_rng(1).normal(0, noise, len(time)))


def said(samples: Samples) -> list[str]:
    return [fault.message.partition(":")[0] for fault in faults(samples, RATE)]


def test_a_good_recording_has_no_faults() -> None:
    assert said(reading(12)) == []


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(0, np.float32), ["nothing is heard"]),
        (np.zeros(RATE * 12, np.float32), ["nothing is heard"]),
        (np.clip(reading(12, loud=3), -1, 1), ["clipping"]),
        (reading(4), ["too short"]),
        (np.pad(reading(4), (RATE * 4, RATE * 4)), ["too short"]),
        (reading(12, loud=0.004, noise=0.00002), ["too quiet"]),
        (reading(12, noise=0.03), ["noise"]),
        (as_samples(np.random.default_rng(1).normal(0, 0.0015, RATE * 12)), ["too short", "too quiet", "noise"]),
    ],
    ids=["empty", "silent", "clipped", "short", "short in silence", "quiet", "noisy", "noise only"],
)
def test_each_fault_is_named(samples: Samples, words: list[str]) -> None:
    assert said(samples) == words


def test_the_level_of_a_full_sine_is_3_db_below_full_scale() -> None:
    assert level(as_samples(np.sin(np.arange(RATE) * 0.1))) == pytest.approx(-3.01, abs=0.02)
