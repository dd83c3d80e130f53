"""Loudness as BS.1770 measures it, and speech that is brought to one loudness."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shaping.sounds import RATE, cuts, pieces, through, voice
from tts_cli.audio import Samples, as_samples
from tts_cli.shaping.levelling import SLOPE, START, TARGET, Levelling
from tts_cli.shaping.loudness import Loudness, k_filters
from tts_cli.shaping.volume import factor

EACH = settings(max_examples=12)


def measured(sound: Samples, rate: int = RATE) -> float | None:
    loudness = Loudness(rate)
    for begin in range(0, len(sound) - loudness.hop + 1, loudness.hop):
        loudness.add(sound[begin : begin + loudness.hop])
    return loudness.integrated


def by_another(sound: Samples, rate: int = RATE) -> float:
    import pyloudnorm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(pyloudnorm.Meter(rate).integrated_loudness(sound))


def test_the_filters_are_those_of_the_standard() -> None:
    shelf, high_pass = k_filters(48_000)
    np.testing.assert_allclose(shelf[0], (1.53512485958697, -2.69169618940638, 1.19839281085285), rtol=1e-9)
    np.testing.assert_allclose(shelf[1], (1, -1.69065929318241, 0.73248077421585), rtol=1e-9)
    np.testing.assert_allclose(high_pass[0], (1, -2, 1))
    np.testing.assert_allclose(high_pass[1], (1, -1.99004745483398, 0.99007225036621), rtol=1e-9)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_a_tone_of_997_hz_has_the_loudness_that_the_standard_says(rate: int) -> None:
    tone = as_samples(np.sin(2 * np.pi * 997 * np.arange(3 * rate) / rate))
    assert measured(tone, rate) == pytest.approx(-3.01, abs=0.05)


@EACH
@given(seed=st.integers(0, 50), level=st.floats(-30, 0), silence=st.integers(0, 3))
def test_another_meter_agrees(seed: int, level: float, silence: int) -> None:
    """It rounds its filters a little differently."""
    sound = voice(3, seed) * np.float32(factor(level))
    quiet = np.concatenate([sound, np.zeros(silence * RATE, np.float32), sound * np.float32(0.01), sound])
    assert measured(quiet) == pytest.approx(by_another(quiet), abs=0.15)


def test_silence_has_no_loudness() -> None:
    assert measured(np.zeros(RATE, np.float32)) is None
    assert measured(np.zeros(100, np.float32)) is None


@EACH
@given(level=st.floats(-12, 8), seed=st.integers(0, 50))
def test_speech_comes_to_the_target_and_stays_there(level: float, seed: int) -> None:
    sound = voice(12, seed) * np.float32(factor(level))
    levelled = through(Levelling(RATE), [sound])
    assert by_another(levelled[4 * RATE :]) == pytest.approx(TARGET, abs=1)


def test_more_than_so_much_is_not_brought_up() -> None:
    noise = as_samples(np.random.default_rng(0).standard_normal(10 * RATE) * 1e-3)
    gain = through(Levelling(RATE), [noise]) / noise
    assert gain.max() == pytest.approx(factor(20), rel=1e-3)


@EACH
@given(levels=st.lists(st.floats(-40, 20), min_size=1, max_size=4), seed=st.integers(0, 50), where=cuts(4 * RATE))
def test_the_gain_never_jumps_and_streamed_equals_whole(levels: list[float], seed: int, where: list[int]) -> None:
    """Segments of very different loudness, one after the other."""
    loud = np.concatenate([voice(1, seed) * np.float32(factor(level)) for level in levels])
    whole = through(Levelling(RATE), [loud])
    np.testing.assert_array_equal(through(Levelling(RATE), pieces(loud, where)), whole)
    heard = np.abs(loud) > 1e-4
    decibels = 20 * np.log10(whole[heard].astype(np.float64) / loud[heard])
    assert decibels[0] == pytest.approx(START, abs=0.01)
    seconds = np.diff(np.flatnonzero(heard)) / RATE
    assert np.all(np.abs(np.diff(decibels)) <= SLOPE * seconds + 1e-4)
