"""Who draws when: the segment that is heard comes first. With a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable

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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def standing(*waiting: int, ended: int = 0) -> list[Standing]:
    """Rows of which the first `ended` have drawn all tokens."""
    return [Standing(count, ended=index < ended) for index, count in enumerate(waiting)]


def test_the_heard_segment_is_drawn_alone_until_the_listener_has_sound_in_hand() -> None:
    clock = Clock()
    listener = Listener(clock)
    assert taking_part(standing(0, 0, 0), listener.slack) == [0]
    listener.given(SLACK + 0.1)
    assert taking_part(standing(0, 0, 0), listener.slack) == [0, 1, 2]
    clock.now += 0.2
    assert taking_part(standing(0, 0, 0), listener.slack) == [0]


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
    assert taking_part(standing(3, 7, 0, ended=1), 1) == [1, 2]
    assert taking_part(standing(3, ended=1), 1) == []


def test_texts_are_read_one_after_another() -> None:
    rows = [Standing(0), Standing(0, reading=True), Standing(0), Standing(0, reading=True)]
    assert taking_part(rows, slack=1) == [0, 1, 2]
    assert taking_part([Standing(0, reading=True)] * 3, slack=1) == [0, 1]
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


STEP = {1: 0.05, 2: 0.058, 3: 0.068, 4: 0.075}
"""Seconds of a step with so many rows, on a machine that is too slow for one row alone."""
CHUNK, DECODED = 10, 0.3
"""Tokens of a chunk, and the seconds that it takes to decode one."""


def spoken(rule: Callable[[list[Standing], Listener], list[int]]) -> tuple[float, float]:
    """When playback of four segments of 100 tokens could have begun so that it has no gap, and when all was computed.

    T3 has a core and the decoder has another, which takes one chunk after the other, in order.
    """
    clock, drawn, decoded = Clock(), [0] * 4, [0] * 4
    listener = Listener(clock)
    sound = start = free = 0.0
    while min(decoded) < 100:
        rows = [Standing(had - gone, ended=had == 100) for had, gone in zip(drawn, decoded, strict=True)]
        part = rule(rows, listener)
        clock.now += STEP[len(part)] if part else 0.01
        for index in part:
            drawn[index] += 1
        heard = next(index for index in range(4) if decoded[index] < 100)
        if free <= clock.now and drawn[heard] - decoded[heard] >= CHUNK:
            decoded[heard] += CHUNK
            free = clock.now + DECODED
            start = max(start, free - sound)
            sound += 0.4
            listener.given(0.4)
    return start, free


def test_where_drawing_alone_is_too_slow_the_next_segment_is_drawn_with_the_one_that_is_heard() -> None:
    alone = spoken(lambda rows, _: [index for index, row in enumerate(rows) if not row.ended][:1])
    everything = spoken(lambda rows, _: [index for index, row in enumerate(rows) if not row.ended])
    ours = spoken(lambda rows, listener: taking_part(rows, listener.slack, listener.waited))
    assert ours[0] < 0.8 * min(alone[0], everything[0]), "it can be heard earlier"
    assert ours[1] < 0.8 * alone[1], "all of it is there earlier"


def test_the_first_chunk_is_drawn_alone_whatever_it_takes() -> None:
    clock = Clock()
    listener = Listener(clock)
    clock.now = 30
    assert taking_part([Standing(0)] * 4, listener.slack, listener.waited) == [0]
    assert taking_part([Standing(0)] * 4, 0, WAITED) == [0, 1]


def test_a_fast_machine_draws_ahead() -> None:
    clock, tokens, ahead = Clock(), 0, 0
    listener = Listener(clock)
    while tokens < 250:
        part = taking_part(standing(0, 0, 0, 0), listener.slack, listener.waited)
        clock.now += 0.025 if len(part) == 1 else 0.045
        tokens += 1
        ahead += len(part) - 1
        if tokens % 10 == 0:
            assert tokens == 10 or listener.slack > -0.1, "the heard segment stays in time"
            listener.given(0.4)
    assert ahead > 200


def text(*waiting: int, slack: float = 1, begins: bool = False, ended: int = 0) -> TextStanding:
    return TextStanding(standing(*waiting, ended=ended), slack, 0, begins)


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
