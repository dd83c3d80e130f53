"""When chunks are decoded: every so many tokens, or by deadline, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.audio import SAMPLES_PER_TOKEN
from tts_cli.engines.chatterbox.schedule.due import FIRST, LATE, LEAST, MOST, Deadline, FixedSize, schedule
from tts_cli.engines.chatterbox.schedule.threads import Threads


class Clock:
    """Tells the time it was given."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def chunks(tokens: int, pace: float, fixed: float, each: float) -> list[tuple[int, float]]:
    """Sizes of the chunks, and when the sound of each was there, at so many seconds a token, a chunk, a chunk's token.

    Tokens are drawn while a chunk is decoded, as in the engine with both stages at once.
    """
    clock = Clock()
    when = Deadline(clock=clock)
    found: list[tuple[int, float]] = []
    drawn_at = [pace * (i + 1) for i in range(tokens)]
    held = 0
    for taken, drawn in enumerate(drawn_at):
        clock.now = max(clock.now, drawn)
        held += 1
        waiting = sum(1 for at in drawn_at[taken + 1 :] if at <= clock.now)
        if when.due(held, waiting):
            cost = fixed + each * held
            clock.now += cost
            when.decoded(held, held * SAMPLES_PER_TOKEN, cost)
            found.append((held, clock.now))
            held = 0
    return found


def test_a_number_means_every_so_many() -> None:
    every = schedule(10, soon=False)
    assert every == FixedSize(10, first=10)
    assert [every.due(held, 0) for held in (1, 9, 10, 1, 9, 10, 11)] == [False, False, True, False, False, True, True]
    assert isinstance(schedule(None, soon=False), Deadline)


@pytest.mark.parametrize(("chunk", "first"), [(3, 3), (10, FIRST), (25, FIRST)])
def test_where_sound_is_wanted_soon_the_first_chunk_is_small(chunk: int, first: int) -> None:
    every = schedule(chunk, soon=True)
    assert every.first == first
    found = [every.due(held, 0) for held in (first - 1, first, chunk - 1, chunk)]
    assert found == [False, True, False, True]


def test_the_first_chunk_is_small_and_later_ones_grow_while_there_is_time() -> None:
    sizes = [size for size, _ in chunks(200, pace=0.01, fixed=0.02, each=0.005)]
    assert sizes[0] == FIRST
    assert sizes[1] > FIRST
    assert max(sizes) <= MOST
    assert sizes[-1] == MOST


@given(
    pace=st.floats(0.005, 0.02),
    fixed=st.floats(0.0, 0.05),
    each=st.floats(0.001, 0.012),
)
def test_the_sound_never_runs_out_where_the_machine_is_fast_enough(pace: float, fixed: float, each: float) -> None:
    found = chunks(300, pace, fixed, each)
    runs_out = found[0][1]
    for size, there in found:
        assert there <= runs_out + 1e-9, "a chunk came too late"
        runs_out += size * SAMPLES_PER_TOKEN / 24_000


def test_a_machine_that_is_too_slow_takes_whatever_is_there() -> None:
    sizes = [size for size, _ in chunks(200, pace=0.03, fixed=0.5, each=0.04)]
    assert all(LEAST <= size <= MOST for size in sizes[1:])
    assert min(sizes[3:]) >= LATE
    assert max(sizes) == MOST  # tokens pile up while a chunk is decoded, and are taken together


def test_a_chunk_without_sound_moves_no_deadline() -> None:
    clock = Clock()
    when = Deadline(clock=clock)
    assert when.due(FIRST, 0)
    when.decoded(FIRST, 0, 0.1)
    assert not when.due(FIRST - 1, 0)
    assert when.due(FIRST, 0)


@pytest.mark.parametrize(("number", "t3", "s3gen"), [(1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 2, 2), (9, 4, 5)])
def test_threads_are_shared_between_the_stages(number: int, t3: int, s3gen: int) -> None:
    assert Threads.share(number) == Threads(t3, s3gen, number)
