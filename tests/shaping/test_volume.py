"""The volume: what it does to every sound, and that it never clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shaping.sounds import RATE, RUNS, cuts, loud, pieces, through, voice
from tts_cli.shaping.volume import CEILING, RAMP_SECONDS, Volume, factor

EACH = settings(max_examples=60)
DECIBELS = st.floats(-60, 30)


@EACH
@given(runs=RUNS, decibels=DECIBELS, where=cuts(3000))
def test_nothing_clips_and_streamed_equals_whole(
    runs: list[tuple[int, float]], decibels: float, where: list[int]
) -> None:
    sound = loud(runs)
    whole = through(Volume(RATE, decibels), [sound])
    assert len(whole) == len(sound)
    assert not len(whole) or np.abs(whole).max() <= 1
    np.testing.assert_array_equal(through(Volume(RATE, decibels), pieces(sound, where)), whole)


@EACH
@given(decibels=DECIBELS, peak=st.floats(0.01, 1), seed=st.integers(0, 100))
def test_below_its_ceiling_the_limiter_does_nothing(decibels: float, peak: float, seed: int) -> None:
    sound = voice(0.3, seed)
    sound *= np.float32(peak * CEILING * 0.9999 / factor(decibels) / np.abs(sound).max())
    expected = (sound.astype(np.float64) * factor(decibels)).astype(np.float32)
    np.testing.assert_array_equal(through(Volume(RATE, decibels), [sound]), expected)


def test_a_loud_moment_is_turned_down_evenly_and_what_is_far_from_it_stays() -> None:
    quiet = np.full(RATE, 0.1, np.float32)
    sound = quiet.copy()
    sound[RATE // 2] = 4
    gain = through(Volume(RATE), [sound]) / sound
    assert gain[RATE // 2] * 4 == pytest.approx(CEILING, rel=0.05)
    assert np.abs(np.diff(gain)).max() < 0.01
    assert np.all(gain[: RATE // 2 - RATE // 50] == 1)
    assert np.all(gain[RATE // 2 + RATE // 3 :] == 1)


@EACH
@given(first=RUNS, second=RUNS)
def test_another_sound_after_the_end_of_the_first_clips_no_more(
    first: list[tuple[int, float]], second: list[tuple[int, float]]
) -> None:
    volume = Volume(RATE, 20)
    through(volume, [loud(first)])
    after = through(volume, [loud(second)])
    assert not len(after) or np.abs(after).max() <= 1


@EACH
@given(begin=DECIBELS, end=DECIBELS)
def test_another_volume_is_reached_evenly_and_soon(begin: float, end: float) -> None:
    sound = np.full(RATE, 0.02, np.float32)
    volume = Volume(RATE, begin)
    first = volume.add(sound)
    volume.decibels = end
    both = np.concatenate([first, volume.add(sound), volume.finish()]).astype(np.float64)
    assert both[0] == pytest.approx(0.02 * factor(begin))
    ramp = round(RAMP_SECONDS * RATE)
    assert np.abs(np.diff(both)).max() <= 0.02 * abs(factor(end) - factor(begin)) / ramp * 1.001 + 1e-6
    assert np.allclose(both[RATE + ramp :], 0.02 * factor(end), rtol=1e-4)
