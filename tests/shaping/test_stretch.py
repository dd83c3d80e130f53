"""Speech at another pace: as long as asked for, at its own pitch, and independent of how it was cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts_cli
from tests.shaping.sounds import RATE, cuts, pieces, through, voice
from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.proof.pitch import pitch
from tts_cli.shaping.stretch import Stretcher

EACH = settings(max_examples=40)
SPEEDS = st.floats(0.5, 2.0)


@EACH
@given(speed=SPEEDS, length=st.integers(0, 20_000), where=cuts(20_000), seed=st.integers(0, 100))
def test_streamed_equals_whole_and_every_sample_is_accounted_for(
    speed: float, length: int, where: list[int], seed: int
) -> None:
    sound = voice(1, seed)[:length]
    whole = through(Stretcher(RATE, speed), [sound])
    assert len(whole) == round(length / speed)
    np.testing.assert_array_equal(through(Stretcher(RATE, speed), pieces(sound, where)), whole)


@EACH
@given(speed=SPEEDS, length=st.integers(1, 12_000))
def test_no_more_than_50_ms_are_held_back(speed: float, length: int) -> None:
    given = len(Stretcher(RATE, speed).add(voice(1)[:length]))
    assert given <= length / speed + 1
    assert length / speed - given <= 0.05 * RATE


@EACH
@given(speed=SPEEDS)
def test_it_begins_anew_after_the_end_of_a_sound(speed: float) -> None:
    stretcher, sound = Stretcher(RATE, speed), voice(0.4)
    first, second = (through(stretcher, [sound]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_at_its_own_pace_a_sound_stays_as_it_is() -> None:
    sound = voice(1)
    np.testing.assert_array_equal(through(Stretcher(RATE), [sound]), sound)


@EACH
@given(speeds=st.lists(SPEEDS, min_size=1, max_size=8))
def test_the_speed_may_change_at_any_time(speeds: list[float]) -> None:
    sound, stretcher = voice(0.8), Stretcher(RATE)
    parts, expected = pieces(sound, [len(sound) * n // len(speeds) for n in range(1, len(speeds))]), 0.0
    given = 0
    for part, speed in zip(parts, speeds, strict=True):
        stretcher.speed = speed
        given += len(stretcher.add(part))
        expected += len(part) / speed
    assert given + len(stretcher.finish()) == pytest.approx(expected, abs=0.06 * RATE)


@EACH
@given(speed=SPEEDS, place=st.integers(0, 23_000))
def test_what_is_heard_when_follows_the_speed(speed: float, place: int) -> None:
    sound = np.zeros(RATE, np.float32)
    sound[place : place + 1000] = voice(1)[:1000] + 0.1
    loud = np.flatnonzero(through(Stretcher(RATE, speed), [sound]))
    assert loud[0] / RATE == pytest.approx(place / speed / RATE, abs=0.03)
    assert loud[-1] / RATE == pytest.approx((place + 1000) / speed / RATE, abs=0.03)


@pytest.fixture(scope="module")
def speech() -> Samples:
    with tts_cli.load("builtin") as session:
        text = "The weather is nice today, and we want to go for a walk. Please open the window."
        return np.concatenate([chunk.samples for chunk in session.stream(text)])


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("lower", [1.0, 0.55])
def test_the_pitch_stays(speech: Samples, speed: float, lower: float) -> None:
    import soxr

    sound = soxr.resample(speech, RATE * lower, RATE)  # a voice of 200 Hz, and one of 110 Hz
    before, after = pitch(sound, RATE), pitch(through(Stretcher(RATE, speed), [sound]), RATE)
    places = ((np.arange(len(after)) + 0.5) * speed - 0.5).round().astype(int).clip(0, len(before) - 1)
    cents = 1200 * np.log2(after / before[places])
    assert abs(np.nanmedian(cents)) <= 5
