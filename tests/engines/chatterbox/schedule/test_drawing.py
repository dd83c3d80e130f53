"""Who draws when: the segment that is heard comes first. With a clock that the test sets."""

from __future__ import annotations

from tts_cli.engines.chatterbox.schedule.drawing import PLENTY, SLACK, Listener, Standing, taking_part


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


def test_a_slow_machine_never_holds_up_the_heard_segment() -> None:
    """Steps of 50 ms alone and 90 ms of four; ten tokens become a chunk at once. The listener waits as if alone."""

    def gaps(together: bool) -> float:
        clock, waited, tokens, ahead = Clock(), 0.0, 0, 0
        listener = Listener(clock)
        while tokens < 250:
            part = taking_part(standing(0, *([0] * 3 if together else [])), listener.slack)
            clock.now += 0.05 if len(part) == 1 else 0.09
            tokens += 1
            ahead += len(part) - 1
            if tokens % 10 == 0:
                waited += max(0.0, -listener.slack)
                listener.given(0.4)
        return waited

    assert gaps(together=True) <= gaps(together=False) + 0.1


def test_a_fast_machine_draws_ahead() -> None:
    clock, tokens, ahead = Clock(), 0, 0
    listener = Listener(clock)
    while tokens < 250:
        part = taking_part(standing(0, 0, 0, 0), listener.slack)
        clock.now += 0.025 if len(part) == 1 else 0.045
        tokens += 1
        ahead += len(part) - 1
        if tokens % 10 == 0:
            assert tokens == 10 or listener.slack > -0.1, "the heard segment stays in time"
            listener.given(0.4)
    assert ahead > 200
