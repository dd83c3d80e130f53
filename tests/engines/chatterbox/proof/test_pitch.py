"""Pitch, on sounds whose pitch is known."""

from __future__ import annotations

import numpy as np
import pytest

from tts_cli.audio import Samples, as_samples
from tts_cli.engines.chatterbox import SAMPLE_RATE
from tts_cli.engines.chatterbox.proof.pitch import compare, pitch


def voice(f0: float, seconds: float = 1.0, cents: float = 0.0) -> Samples:
    """Ten harmonics, each weaker than the one before."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    frequency = f0 * 2 ** (cents / 1200)
    return as_samples(sum(0.3 / number * np.sin(2 * np.pi * number * frequency * time) for number in range(1, 11)))


def noise(seconds: float = 1.0) -> Samples:
    return as_samples(0.1 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE)))


@pytest.mark.parametrize("f0", [75.0, 110.0, 155.5, 220.0, 330.0])
def test_the_pitch_of_harmonics(f0: float) -> None:
    found = pitch(voice(f0), SAMPLE_RATE)
    assert len(found) == 50
    inner = found[3:-3]
    assert np.abs(1200 * np.log2(inner / f0)).max() < 5


def test_noise_and_silence_have_no_pitch() -> None:
    assert np.isnan(pitch(noise(), SAMPLE_RATE)).mean() > 0.95
    assert np.isnan(pitch(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)).all()
    assert len(pitch(np.zeros(100, np.float32), SAMPLE_RATE)) == 0


def test_a_voice_that_is_tuned_higher() -> None:
    cents, voicing = compare(voice(140, cents=30), voice(140), SAMPLE_RATE)
    assert cents == pytest.approx(30, abs=1)
    assert voicing == 1


def test_half_a_sound_that_is_whispered() -> None:
    spoken = np.concatenate([voice(140), voice(140)])
    cents, voicing = compare(np.concatenate([voice(140), noise()]), spoken, SAMPLE_RATE)
    assert cents == pytest.approx(0, abs=0.1)
    assert voicing == pytest.approx(0.5, abs=0.06)


def test_sounds_without_pitch_are_not_compared() -> None:
    cents, voicing = compare(np.zeros(SAMPLE_RATE, np.float32), noise(), SAMPLE_RATE)
    assert np.isnan(cents)
    assert voicing > 0.95
