"""Who draws when: the segment that is heard comes first."""

from __future__ import annotations

import pytest

from tests.engines.chatterbox.schedule.simulation import Clock, spoken
from tts_cli.engines.chatterbox.schedule.policy import (
    MOST_ROWS,
    PLENTY,
    SLACK,
    WAITED,
    Listener,
    Standing,
    TextStanding,
    taking_part,
    taking_part_of,
)


def standing(*waiting: int, ended: int = 0) -> list[Standing]:
    """Rows of which the first `ended` have drawn all tokens."""
    return [Standing(count, ended=index < ended) for index, count in enumerate(waiting)]


def test_the_more_sound_the_listener_has_the_more_segments_are_drawn() -> None:
    clock = Clock()
    listener = Listener(clock)
    assert taking_part(standing(0, 0, 0), listener.slack) == [0]
    listener.given(2 * SLACK + 0.1)
    assert taking_part(standing(0, 0, 0, 0), listener.slack) == [0, 1, 2]
    clock.now += 0.2
    assert taking_part(standing(0, 0, 0, 0), listener.slack) == [0, 1]
    clock.now += SLACK
    assert taking_part(standing(0, 0, 0, 0), listener.slack) == [0]


def test_sound_that_comes_late_is_heard_from_then_on() -> None:
    clock = Clock()
    listener = Listener(clock)
    clock.now = 5
    assert listener.slack == -5
    listener.given(1)
    assert listener.slack == 1


def test_the_next_segments_draw_where_t3_would_wait() -> None:
    assert taking_part(standing(PLENTY - 1, 0), 0) == [0]
    assert taking_part(standing(PLENTY, 0), 0) == [0, 1]


def test_after_the_heard_segment_is_drawn_the_next_one_comes_first() -> None:
    assert taking_part(standing(3, 7, 0, ended=1), 0) == [1]
    assert taking_part(standing(PLENTY - 7, 7, 0, ended=1), 0) == [1, 2]
    assert taking_part(standing(3, 7, 0, ended=1), SLACK) == [1, 2]
    assert taking_part(standing(3, ended=1), SLACK) == []


def test_texts_are_read_one_after_another() -> None:
    rows = [Standing(0), Standing(0, reading=True), Standing(0), Standing(0, reading=True)]
    assert taking_part(rows, slack=3 * SLACK) == [0, 1, 2]
    assert taking_part([Standing(0, reading=True)] * 3, slack=2 * SLACK) == [0, 1]
    assert taking_part(rows, slack=0) == [0]


def test_the_time_before_the_first_sound_is_not_waiting() -> None:
    clock = Clock()
    listener = Listener(clock)
    clock.now = 5
    listener.given(1)
    assert listener.waited == 0
    clock.now = 8
    listener.given(1)
    clock.now = 8.5
    listener.given(1)
    assert listener.waited == 2


def ours(rows: list[Standing], listener: Listener) -> list[int]:
    return taking_part(rows, listener.slack, listener.waited)


def everything(rows: list[Standing], _: Listener) -> list[int]:
    return [index for index, row in enumerate(rows) if not row.ended]


def alone(rows: list[Standing], listener: Listener) -> list[int]:
    return everything(rows, listener)[:1]


@pytest.mark.parametrize("slower", [1.1, 1.2, 1.3])
@pytest.mark.parametrize("lengths", [[100] * 4, [480] * 20, [120, 250, 380] + [480] * 20])
def test_where_drawing_alone_is_too_slow_the_next_segments_are_drawn_with_the_one_that_is_heard(
    lengths: list[int], slower: float
) -> None:
    by_rule, by_others = spoken(lengths, ours, slower), [spoken(lengths, rule, slower) for rule in (alone, everything)]
    assert by_rule.could_begin < 0.9 * min(each.could_begin for each in by_others), "it can be heard earlier"
    assert by_rule.ends < 0.92 * by_others[0].ends, "all of it is there earlier than when drawn alone"
    assert not by_rule.starved, "the pre-buffer waits for long enough"
    assert by_rule.begins < by_rule.could_begin + 25, "and not for the whole text"


@pytest.mark.parametrize("slower", [0.7, 0.8, 0.9])
@pytest.mark.parametrize("lengths", [[480] * 20, [120, 190, 290] + [480] * 20])
def test_a_machine_that_is_fast_enough_draws_ahead_without_making_the_listener_wait(
    lengths: list[int], slower: float
) -> None:
    by_rule = spoken(lengths, ours, slower)
    assert not by_rule.starved
    assert by_rule.begins < 5
    assert by_rule.ends < 0.8 * spoken(lengths, alone, slower).ends


def test_the_first_chunk_is_drawn_alone_whatever_it_takes() -> None:
    clock = Clock()
    listener = Listener(clock)
    clock.now = 30
    assert taking_part([Standing(0)] * 4, listener.slack, listener.waited) == [0]
    assert taking_part([Standing(0)] * 4, 0, WAITED) == [0, 1]


def text(*waiting: int, slack: float = 3 * SLACK, begins: bool = False, ended: int = 0) -> TextStanding:
    return TextStanding(standing(*waiting, ended=ended), slack, 0, begins, sound=0 if begins else 9)


def test_the_heard_segments_of_all_texts_come_before_the_next_ones() -> None:
    texts = [text(1, 0, 0), text(2), text(0, 0), text(5, 3, 0, 0, ended=1)]
    order = [(0, 0), (1, 0), (2, 0), (3, 1), (0, 1), (2, 1), (3, 2), (0, 2)]
    assert taking_part_of(texts) == order
    assert len(order) == MOST_ROWS


def test_each_listener_has_its_own_slack() -> None:
    assert taking_part_of([text(0, 0, slack=0), text(0, 0)]) == [(0, 0), (1, 0), (1, 1)]


def test_texts_without_sound_come_first() -> None:
    texts = [text(3, 0), text(0, slack=0, begins=True), text(0, 0, slack=-2, begins=True)]
    assert taking_part_of(texts) == [(1, 0), (2, 0)]
    assert taking_part_of([text(3, 0), text(0, ended=1, begins=True)]) == [(0, 0), (0, 1)]
    assert taking_part_of([text(3, ended=1)]) == []
    assert taking_part_of([]) == []
