"""Timing on this machine. How long anything takes is never asserted."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path

import pytest
import torch

from tests.engines.chatterbox.precision.pretend_device import PretendDevice
from tts_cli.engines.chatterbox.t3.batch import Batch, Row
from tts_cli.engines.chatterbox.tuning.rule import Way
from tts_cli.engines.chatterbox.tuning.search import BLOCK, LARGE
from tts_cli.engines.chatterbox.tuning.timing import Timing, tune_here


@pytest.fixture(scope="module")
def timing(tiny: Path) -> Timing:
    return Timing(tiny)


def running() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("strategy", ["context", "cached"])
def test_every_part_and_the_whole_take_time(timing: Timing, precision: str, strategy: str) -> None:
    before, threads = running(), torch.get_num_threads()
    way = Way("cpu", precision, strategy, 2)
    assert timing.token("cpu", precision, 2) > 0
    short = timing.block(way, short=True)
    assert short.least
    assert min(short.flow, short.vocoder) > 0
    assert not timing.block(way, short=False).least
    assert min(timing.rtf(way, block) for block in (BLOCK, LARGE)) > 0
    assert running() <= before, "what runs ahead has ended"
    torch.set_num_threads(threads)


def test_an_error_in_a_stage_is_raised_and_ends_all(timing: Timing, monkeypatch: pytest.MonkeyPatch) -> None:
    before, step, calls = running(), Batch.step, count()

    def fail(batch: Batch, rows: list[Row]) -> list[int | None]:
        if next(calls) == 12:
            raise RuntimeError("the device is lost")
        return step(batch, rows)

    monkeypatch.setattr(Batch, "step", fail)
    with pytest.raises(RuntimeError, match="the device is lost"):
        timing.rtf(Way("cpu", "fp32", "cached", 2), BLOCK)
    assert running() <= before


@pytest.mark.parametrize("strategy", ["context", "cached"])
def test_the_parts_are_timed_on_a_gpu(tiny: Path, monkeypatch: pytest.MonkeyPatch, strategy: str) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    timing, threads = Timing(tiny), torch.get_num_threads()
    assert list(timing.devices) == ["mps", "cpu"]
    with torch.inference_mode(), PretendDevice("mps"):
        assert timing.token("mps", "fp32", 2) > 0
        assert timing.block(Way("mps", "fp32", strategy, 2), short=False).flow > 0
    torch.set_num_threads(threads)


def test_only_what_the_cpu_has_instructions_for_is_timed(timing: Timing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts_cli.engines.chatterbox.tuning.timing.fast_bf16", lambda _: False)
    assert list(timing.precisions("cpu")) == ["fp32", "int8"]
    monkeypatch.setattr("tts_cli.engines.chatterbox.tuning.timing.fast_bf16", lambda _: True)
    assert list(timing.precisions("cpu")) == ["fp32", "bf16", "int8"]


def test_the_callers_threads_stay_as_they_were(tiny: Path) -> None:
    before = torch.get_num_threads()
    found = tune_here(tiny, lambda _doing, _rows: None)
    assert found.choice.row in found.rows
    assert torch.get_num_threads() == before
