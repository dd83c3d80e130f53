"""The thread that draws the tokens of all texts: when it packs T3's weights, and when it gives way to S3Gen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from threading import Event, Semaphore

import pytest

from tests.engines.chatterbox.t3.random_weights import random_prefix, random_t3
from tests.harness import PATIENCE
from tts_cli.engines.chatterbox.precision.int8_products import codes_compute_the_same
from tts_cli.engines.chatterbox.precision.quantised_layers import Int8Linear
from tts_cli.engines.chatterbox.schedule import batching
from tts_cli.engines.chatterbox.schedule.batching import LONG, TokenBatcher
from tts_cli.engines.chatterbox.schedule.drawn_tokens import SOON
from tts_cli.engines.chatterbox.schedule.earliest_deadline import Turns
from tts_cli.engines.chatterbox.schedule.policy import START, Listener
from tts_cli.engines.chatterbox.schedule.threads import Budget
from tts_cli.engines.chatterbox.t3.batch import Batch, Row
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.network import T3Prefix

pytestmark = pytest.mark.skipif(not codes_compute_the_same(), reason="this processor computes from packed weights only")

FIRST = 5
"""Tokens of the first chunk."""


@pytest.mark.parametrize(
    ("budgets", "packs"),
    [([LONG], True), ([LONG // 2] * 2, True), ([LONG - 1], False), ([LONG // 4] * 3, False)],
)
def test_weights_are_packed_soon_after_the_first_chunk_of_a_long_text(budgets: list[int], packs: bool) -> None:
    t3, prefix = random_t3("int8"), random_prefix(2, 20)
    layers = [each for each in t3.modules() if isinstance(each, Int8Linear)]
    drawn: list[bool] = []

    def stops(_: int) -> bool:
        """Note whether all weights are packed when the token is drawn."""
        drawn.append(all(layer.codes is None for layer in layers))
        return len(drawn) > FIRST + SOON

    all_begun = Event()

    class WaitingBatch(Batch):
        def step(self, rows: Sequence[Row]) -> list[int | None]:
            all_begun.wait(PATIENCE)
            return super().step(rows)

    with closing(TokenBatcher(WaitingBatch(t3), Budget(2), Turns(2)).text(Listener())) as text:
        requests = [TokenRequest(prefix, [1, 2, 3], budget=budget, exactly=budget) for budget in budgets]
        first = text.begin(requests[0], stops, FIRST, lambda: True)
        for request in requests[1:]:
            text.begin(request, lambda _: False, FIRST, lambda: True)
        all_begun.set()
        assert len(list(first)) == FIRST + SOON + 1
    assert drawn == [False] * (FIRST + SOON) + [packs]


def test_packing_ends_when_nobody_wants_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    t3, prefix = random_t3("int8"), random_prefix(2, 20)
    layers = [each for each in t3.modules() if isinstance(each, Int8Linear)]
    left = Event()
    pack = Int8Linear.pack

    def pack_after_the_listener_has_left(layer: Int8Linear) -> object:
        left.set()
        return pack(layer)

    monkeypatch.setattr(Int8Linear, "pack", pack_after_the_listener_has_left)
    with closing(TokenBatcher(Batch(t3), Budget(2), Turns(2)).text(Listener())) as text:
        request = TokenRequest(prefix, [1, 2, 3], budget=LONG, exactly=LONG)
        tokens = list(text.begin(request, lambda _: False, FIRST, lambda: not left.is_set()))
    assert FIRST + SOON <= len(tokens) <= FIRST + SOON + 1
    assert sum(layer.codes is None for layer in layers) <= 2, "one in each of the two threads that pack"


@pytest.mark.parametrize(("sound", "gives_way"), [(0.0, True), (START, False)])
def test_nothing_is_drawn_for_a_listener_with_little_sound_while_chunks_are_computed_in_all_places(
    sound: float, gives_way: bool
) -> None:
    asked = Semaphore(0)

    class WatchedTurns(Turns):
        @property
        def full(self) -> bool:
            full = super().full
            if full:
                asked.release()
            return full

    turns, listener, prefix = WatchedTurns(2), Listener(), random_prefix(2, 20)
    listener.given(sound)
    turn = turns.of(listener)
    with closing(turn), closing(TokenBatcher(Batch(random_t3("int8")), Budget(2), turns).text(listener)) as text:
        with turn, turn:
            tokens = text.begin(TokenRequest(prefix, [1], budget=9, exactly=9), lambda _: False, FIRST, lambda: True)
            assert asked.acquire(timeout=PATIENCE)
            with turns.changed:
                turns.changed.notify_all()
            assert asked.acquire(timeout=PATIENCE), "it looks again: after a wait, or before the second token"
            with turns.changed:
                assert bool(tokens.waiting) != gives_way
        assert len(list(tokens)) == 9


class TimedThreads:
    """What `use` was called with, and a clock: a token takes `seconds` with each number of threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> None:
        self.used: list[int] = []
        self.now, self._seconds = 0.0, seconds
        monkeypatch.setattr(batching, "use", self.used.append)
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def draw(self, batcher: TokenBatcher, prefix: T3Prefix, count: int) -> list[int]:
        """The numbers of threads for a text of `count` tokens."""
        self.used.clear()
        with closing(batcher.text(Listener(lambda: 0.0))) as text:
            list(text.begin(TokenRequest(prefix, [1, 2, 3], exactly=count), lambda _: False, FIRST, lambda: True))
        return list(self.used)

    def batch(self, t3: T3) -> Batch:
        times = self

        class TimedBatch(Batch):
            def step(self, rows: Sequence[Row]) -> list[int | None]:
                times.now += times._seconds[times.used[-1]]
                return super().step(rows)

        return TimedBatch(t3)


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.015, 2: 0.021}, 1), ({1: 0.034, 2: 0.02}, 2)])
def test_the_first_chunk_is_drawn_with_the_number_of_threads_that_is_fastest(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], best: int
) -> None:
    times, prefix = TimedThreads(monkeypatch, seconds), random_prefix(2, 20)
    batcher = TokenBatcher(times.batch(random_t3("fp32")), Budget(2), Turns(2))
    assert times.draw(batcher, prefix, FIRST + 2) == [2, 1, 2, 1, 2, 1, 1], "reads, tries, and goes on with its share"
    assert times.draw(batcher, prefix, FIRST + 2) == [2, best, best, best, best, 1, 1]


def test_nothing_is_concluded_from_steps_beside_s3gen(monkeypatch: pytest.MonkeyPatch) -> None:
    times, prefix, turns = TimedThreads(monkeypatch, {1: 0.015, 2: 0.01}), random_prefix(2, 20), Turns(2)
    batcher = TokenBatcher(times.batch(random_t3("fp32")), Budget(2), turns)
    with turns.of(Listener()):
        assert times.draw(batcher, prefix, FIRST) == [2, 1, 1, 1, 1]
    assert times.draw(batcher, prefix, FIRST) == [2, 1, 2, 1, 2]
