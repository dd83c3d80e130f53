"""Engines follow what was measured here, where the user has left the choice to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engines.chatterbox.speaking import sound
from tts_cli.engines.chatterbox.device_placement import place
from tts_cli.engines.chatterbox.diagnostics import findings
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.tuning.plan import plan_for, usual_strategy
from tts_cli.engines.chatterbox.tuning.rule import Row, Way
from tts_cli.engines.chatterbox.tuning.store import write
from tts_cli.finding import Finding

NEAR = Row(Way("cpu", "fp32", "context", 1), 0.5)
FAR = Row(Way("cpu", "int8", "cached", 1), 0.3)
USUAL = {"device": "cpu", "precision": "int8", "strategy": "cached", "measured": False}


@pytest.fixture
def asked(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChatterboxSettings:
    """Everything is left to the engine, and nothing was measured."""
    monkeypatch.setenv("TTS_CACHE_DIR", str(tmp_path / "cache"))
    return ChatterboxSettings(voices_dir=tmp_path / "voices", model_dir=tiny, watermark=False)


def test_what_was_measured_is_what_explicit_options_give(asked: ChatterboxSettings, tiny: Path) -> None:
    write([NEAR, FAR], tiny)
    engine = ChatterboxEngine(asked)
    assert engine.chosen == {
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "strategy": "context",
        "measured": True,
    }
    explicit = ChatterboxEngine(replace(asked, device="cpu", precision="fp32", threads=1))
    options = ChatterboxOptions(tokens=25, seed=3)
    found = sound(engine, options)
    assert np.array_equal(found, sound(explicit, replace(options, strategy="context")))
    assert not np.array_equal(found, sound(engine, replace(options, strategy="cached"))), "options that are given win"


def test_without_measurements_the_usual_rules_hold(asked: ChatterboxSettings) -> None:
    engine = ChatterboxEngine(asked)
    assert engine.chosen.items() >= USUAL.items()
    assert engine.if_slow.endswith(f"tts tune --model-dir {asked.model_dir}")
    assert engine.notice == ""


def test_what_the_user_asks_for_wins(asked: ChatterboxSettings, tiny: Path) -> None:
    write([NEAR, FAR], tiny)
    engine = ChatterboxEngine(replace(asked, precision="int8"))
    assert engine.chosen == {"device": "cpu", "threads": 1, "strategy": "cached", "measured": True}
    assert engine.precision.startswith("int8")
    engine = ChatterboxEngine(replace(asked, precision="bf16", threads=3))
    assert engine.chosen == {"device": "cpu", "strategy": "cached", "measured": False}
    assert engine.precision.startswith("bf16")
    assert engine.if_slow == "", "it was measured, but not with that"


def test_a_damaged_file_is_one_line_and_the_usual_rules(asked: ChatterboxSettings, tiny: Path) -> None:
    file = write([NEAR], tiny)
    file.write_bytes(file.read_bytes()[:-30])
    engine = ChatterboxEngine(asked)
    assert engine.chosen.items() >= USUAL.items()
    assert engine.notice == f"the measurements in {file} are damaged and are ignored; measure again with: tts tune"


@pytest.mark.parametrize(("device", "strategy"), [("cpu", "cached"), ("mps", "cached"), ("cuda", "context")])
def test_the_usual_strategy_of_a_device(device: str, strategy: str) -> None:
    assert usual_strategy(device) == strategy


def test_a_gpu_that_was_the_best_and_fails_now_leaves_the_usual_rules_of_the_cpu(
    asked: ChatterboxSettings, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.backends.mps.is_built():
        pytest.skip("this torch knows MPS")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)  # and torch fails when it is used
    write([Row(Way("mps", "fp32", "context", 2), 0.4)], tiny)
    engine = ChatterboxEngine(asked)
    assert engine.notice.startswith("this Mac's GPU cannot load the models")
    assert engine.chosen.items() >= USUAL.items()


def test_a_cpu_that_was_faster_than_the_gpu_speaks(
    asked: ChatterboxSettings, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    write([Row(Way("mps", "fp32", "cached", 2), 1.74), FAR], tiny)
    plan = plan_for(asked, tiny)
    placed = place(tiny, "auto", "auto", timed=plan.timed)
    assert (placed.device.type, placed.precision.t3, placed.notice) == ("cpu", "int8", "")


def test_the_doctor_says_what_was_measured(asked: ChatterboxSettings, tiny: Path) -> None:
    def told() -> dict[str, Finding]:
        return {each.topic: each for each in findings(asked, thorough=False)}

    assert told()["tuning"].found == "not measured; tts tune does it in 20 s"
    file = write([NEAR, FAR], tiny)
    assert "cpu, fp32, context, 1 thread (RTF 0.50): the most faithful" in told()["tuning"].found
    assert told()["numbers"].found.startswith("fp32 on cpu")
    file.write_text("{}")
    damaged = told()["tuning"]
    assert (damaged.state, damaged.remedy) == ("advice", "measure again with: tts tune")
