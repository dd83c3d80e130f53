"""A run computes with threads of its own choice; the caller's thread keeps its settings of torch."""

from __future__ import annotations

import gc
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.given import Given
from tts_cli.audio import AudioChunk
from tts_cli.cores import cores
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.schedule.threads import Budget, QuickestThreads, Threads

CALLERS = 3
OPTIONS = ChatterboxOptions(chunk=4, strategy="cached", tokens=16)
WAYS = {
    "side by side": OPTIONS,
    "in turn": replace(OPTIONS, parallel=False),
    "simple": replace(OPTIONS, mode="simple"),
}


@pytest.fixture(scope="module")
def engine(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ChatterboxEngine:
    voices = tmp_path_factory.mktemp("voices")
    return ChatterboxEngine(ChatterboxSettings(voices_dir=voices, model_dir=tiny, device="cpu", threads=2))


@pytest.fixture(autouse=True)
def callers() -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(CALLERS)
    yield
    torch.set_num_threads(before)


def stream(engine: ChatterboxEngine, options: ChatterboxOptions) -> Generator[AudioChunk, None, None]:
    return engine.stream(Given("Hi there."), "default", options)


def assert_as_before(number: int = CALLERS) -> None:
    assert torch.get_num_threads() == number
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    weight = torch.ones(3, requires_grad=True)
    (weight * 2).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None


def in_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.parametrize("way", WAYS)
def test_between_chunks_and_afterwards_the_callers_thread_is_as_it_was(engine: ChatterboxEngine, way: str) -> None:
    count = 0
    for _chunk in stream(engine, WAYS[way]):
        assert_as_before()
        count += 1
    assert count == 1 if way == "simple" else count > 1
    assert_as_before()
    assert in_a_new_thread() == CALLERS


@pytest.mark.parametrize("way", ["side by side", "in turn"])
def test_so_it_is_after_a_run_that_was_closed_or_abandoned(engine: ChatterboxEngine, way: str) -> None:
    closed = stream(engine, WAYS[way])
    next(closed)
    closed.close()
    assert_as_before()
    assert in_a_new_thread() == CALLERS
    abandoned = stream(engine, WAYS[way])
    next(abandoned)
    del abandoned
    gc.collect()
    assert_as_before()
    assert in_a_new_thread() == CALLERS


@pytest.mark.parametrize("way", ["side by side", "in turn"])
def test_so_it_is_after_an_error(engine: ChatterboxEngine, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("nonsense")

    monkeypatch.setattr(engine._decoder, "stream", failing)
    with pytest.raises(RuntimeError, match="nonsense"):
        list(stream(engine, WAYS[way]))
    assert_as_before()


def test_what_the_caller_sets_between_chunks_stays(engine: ChatterboxEngine) -> None:
    for number, _chunk in enumerate(stream(engine, OPTIONS), start=1):
        torch.set_num_threads(number)
        last = number
    assert_as_before(last)


def test_threads_are_as_many_as_cores_unless_said() -> None:
    assert Budget(None).share().all == cores() >= 1
    assert Budget(3).share().all == 3


@pytest.mark.parametrize(("number", "t3", "s3gen"), [(1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 2, 2), (9, 4, 5)])
def test_threads_are_shared_between_the_stages(number: int, t3: int, s3gen: int) -> None:
    assert Threads.share(number) == Threads(t3, s3gen, number)


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.015, 2: 0.021}, 1), ({1: 0.034, 2: 0.02}, 2)])
def test_the_number_of_threads_that_took_least_is_used(seconds: dict[int, float], best: int) -> None:
    quickest = QuickestThreads(seconds)
    tried = []
    for attempt in range(8):
        number = quickest.number
        tried.append(number)
        quickest.took(number, seconds[number] + (1 if attempt < len(seconds) else 0))  # the first time is slow
    assert tried == [1, 2, 1, 2] + 4 * [best]
