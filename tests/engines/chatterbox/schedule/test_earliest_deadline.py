"""Who computes next: the utterance without sound, then the one that runs out of sound soonest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness import PATIENCE
from tts_cli.engines.chatterbox.schedule.earliest_deadline import Turn, Turns
from tts_cli.engines.chatterbox.schedule.policy import Listener


def listening(seconds: float | None) -> Listener:
    """Who has sound for so many seconds; None: who has had none."""
    listener = Listener(lambda: 0.0)
    if seconds is not None:
        listener.given(seconds)
    return listener


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def waits(turns: Turns, turn: Turn) -> None:
    """Return when `turn` is in the line."""
    with turns.changed:
        while all(each is not turn for _, each in turns._waiting):
            turns.changed.wait(0.01)


def test_the_most_urgent_computes_next(pool: ThreadPoolExecutor) -> None:
    turns, order = Turns(1), []

    def compute(name: str, turn: Turn) -> None:
        with turn:
            order.append(name)

    with turns.of(listening(9)):
        asked = {"plenty": 5.0, "new": None, "late": -1.0, "also new": None, "soon": 0.5}
        done = []
        for name, seconds in asked.items():
            turn = turns.of(listening(seconds))
            done.append(pool.submit(compute, name, turn))
            waits(turns, turn)
    for each in done:
        each.result(PATIENCE)
    assert order == ["new", "also new", "late", "soon", "plenty"]


def test_no_more_compute_at_once_than_there_are_places(pool: ThreadPoolExecutor) -> None:
    turns, counting, most, now = Turns(3), threading.Lock(), 0, 0
    barrier = threading.Barrier(3)

    def compute(turn: Turn) -> None:
        nonlocal most, now
        with turn:
            with counting:
                now += 1
                most = max(most, now)
            barrier.wait(PATIENCE)  # passes only while three compute
            with counting:
                now -= 1

    for each in [pool.submit(compute, turns.of(listening(1))) for _ in range(6)]:
        each.result(PATIENCE)
    assert most == 3


def test_who_ends_waits_no_longer_and_the_others_still_do(pool: ThreadPoolExecutor) -> None:
    turns = Turns(1)
    ending, staying = turns.of(listening(1)), turns.of(listening(2))

    def compute(turn: Turn) -> bool:
        with turn:
            return turn.closed

    with turns.of(listening(9)):
        ended, stayed = pool.submit(compute, ending), pool.submit(compute, staying)
        for each in (ending, staying):
            waits(turns, each)
        ending.close()
        assert ended.result(PATIENCE)
        assert not stayed.done()
    assert stayed.result(PATIENCE) is False
    with turns.of(listening(1)):  # all places are free again
        pass
    assert turns._held == []


@pytest.mark.parametrize("comes", ["its sound", "its end"])
def test_the_others_leave_a_place_to_an_utterance_without_sound(comes: str, pool: ThreadPoolExecutor) -> None:
    turns = Turns(2)
    new = turns.of(listening(None))
    another = turns.of(listening(1))

    def compute() -> None:
        with another:
            pass

    with turns.of(listening(2)):
        waiting = pool.submit(compute)
        waits(turns, another)
        with new:  # waits for nobody
            assert not waiting.done()
            if comes == "its sound":
                new.listener.given(1)
        if comes == "its end":
            new.close()
        waiting.result(PATIENCE)


def test_an_error_frees_the_place() -> None:
    turns = Turns(1)
    with pytest.raises(RuntimeError), turns.of(listening(1)):
        raise RuntimeError("broken")
    with turns.of(listening(1)):
        pass
