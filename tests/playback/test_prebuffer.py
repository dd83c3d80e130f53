"""The pre-buffer rule: gapless when the forecast is right, and as small as it may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tts_cli.metrics import Snapshot
from tts_cli.playback.prebuffer import JITTER, SECONDS_PER_CHARACTER, Forecast


def starved_seconds(rtf: float, chunk: float, count: int) -> tuple[float, float]:
    """Play `count` chunks as the speaker would: seconds of starvation, and the wait before the first sound."""
    characters = round(chunk * count / SECONDS_PER_CHARACTER)
    forecast, now, heard_until, began, starved, buffered = Forecast(), 0.0, 0.0, None, 0.0, 0.0
    for number in range(1, count + 1):
        now += rtf * chunk
        needed = forecast.needed(Snapshot(computed=now, sound=number * chunk, chunks=number), chunk, characters, 0)
        if began is not None:
            starved += max(0.0, now - heard_until)
            heard_until = max(now, heard_until) + chunk
            continue
        buffered += chunk
        if buffered >= needed or number == count:
            began = now
            heard_until = now + buffered
    assert began is not None
    return starved, began


@given(rtf=st.floats(0.0, 3.0), chunk=st.sampled_from([0.04, 0.2, 0.4, 1.0]), count=st.integers(1, 200))
def test_a_right_forecast_never_starves(rtf: float, chunk: float, count: int) -> None:
    starved, _ = starved_seconds(rtf, chunk, count)
    assert starved == 0.0


def test_a_fast_engine_is_heard_with_its_first_chunk() -> None:
    _, began = starved_seconds(0.1, 0.4, 50)
    assert began == 0.1 * 0.4


def test_a_slow_engine_waits_for_no_more_than_it_must() -> None:
    _, began = starved_seconds(1.5, 0.4, 100)
    # 40 s of sound take 60 s: 20 s must be gathered, and the rule's caution may add a quarter to the wait.
    assert 20 <= began <= 1.25 * 1.5 * 20


def test_text_that_waits_counts_as_sound_to_come() -> None:
    run = Snapshot(computed=0.8, sound=0.4, chunks=1)
    alone = Forecast().needed(run, 0.4, 10, 0)
    assert Forecast().needed(run, 0.4, 10, 100) > alone + 100 * SECONDS_PER_CHARACTER * 0.9
    assert alone >= JITTER


def test_the_pace_is_learned_from_what_was_spoken() -> None:
    forecast = Forecast()
    forecast.needed(Snapshot(computed=8.0, sound=4.0), 4.0, 10, 0)  # 0.4 s a character
    needed = forecast.needed(Snapshot(computed=16.0, sound=8.0), 4.0, 30, 0)
    # 20 more characters at that pace are 8 s of sound, 4 s of them are still to come, at RTF 2.
    assert needed > 4.0


def test_sound_that_is_half_computed_counts_by_half() -> None:
    slow, prepared = Snapshot(computed=6.0, sound=4.0), Snapshot(computed=6.0, sound=4.0, half_computed=4.0)
    characters = round(4.4 / SECONDS_PER_CHARACTER)  # the segment is nearly over
    without, with_it = (Forecast().needed(run, 0.4, characters, 1000) for run in (slow, prepared))
    # At an RTF of 1.5 everything is late, at 6 s for 4 s and half of 4 s little more than the caution.
    assert without > 30
    assert with_it < 8


def test_what_is_prepared_for_later_does_not_help_the_present_segment() -> None:
    run = Snapshot(computed=6.0, sound=4.0, half_computed=40.0)
    assert Forecast().needed(run, 0.4, round(14 / SECONDS_PER_CHARACTER), 1000) > 0.5 * 10


def test_a_long_text_does_not_make_a_little_slowness_a_long_wait() -> None:
    run = Snapshot(computed=4.0, sound=4.0)
    minute, hour = (Forecast().needed(run, 0.4, 0, round(s / SECONDS_PER_CHARACTER)) for s in (70, 3600))
    assert hour == minute < 7


def test_a_short_segment_at_its_end_does_not_hide_that_the_next_one_is_as_slow() -> None:
    forecast, begun, waiting = Forecast(), round(4.4 / SECONDS_PER_CHARACTER), round(10 / SECONDS_PER_CHARACTER)
    forecast.needed(Snapshot(computed=0.6, sound=0.4), 0.4, begun, waiting)
    ending = Snapshot(computed=6.6, sound=4.4, half_computed=6.6)
    # At an RTF of 1.65 with the caution, 10 s take 16.5 s, less 5.4 s for the half of 6.6 s that is done.
    assert forecast.needed(ending, 0.4, begun, waiting) > JITTER + 1.65 * 0.4 + 1


def test_work_that_is_done_once_after_the_first_chunk_is_not_forecast() -> None:
    forecast, characters = Forecast(), round(30 / SECONDS_PER_CHARACTER)
    needed = []
    for computed, sound in ((0.9, 0.1), (2.8, 0.5), (3.1, 0.9), (3.4, 1.3), (3.7, 1.7)):
        needed.append(forecast.needed(Snapshot(computed=computed, sound=sound), 0.4, characters, 0))
    assert needed[-1] < 1, "0.4 s of sound took 0.3 s"
    assert min(needed[:-1]) > 10, "but it must have done so for 1 s of sound"
