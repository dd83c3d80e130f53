"""`--device auto`: a GPU speaks only where it was seen to compute what the CPU does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engines.chatterbox.precision.pretend_device import PretendDevice
from tests.given import Given
from tts_cli.engines.chatterbox.device_placement import Placed, found_fault, place
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.errors import MissingError

CPU = torch.device("cpu")

WARNS = """
import sys, warnings
from pathlib import Path
from tts_cli.engines.chatterbox.device_placement import place
place(Path(sys.argv[1]), "cpu", "fp32")
import torch
warnings.warn_explicit("a fall-back", UserWarning, "t3.py", 1, module="tts_cli.engines.chatterbox.t3.model")
warnings.warn_explicit("a fall-back", UserWarning, "functional.py", 1, module="torch.nn.functional")
"""


@pytest.fixture
def placed(tiny: Path) -> Placed:
    return Placed(T3.load(tiny), S3GenDecoder.load(tiny), CPU, choose("fp32", CPU))


def test_the_cpu_computes_what_the_cpu_computes(placed: Placed, tiny: Path) -> None:
    assert found_fault(placed, tiny) == ""


def test_bf16_is_near_enough(tiny: Path) -> None:
    fast = Placed(T3.load(tiny, "cpu", "bf16"), S3GenDecoder.load(tiny, "cpu", "bf16"), CPU, choose("bf16", CPU))
    assert found_fault(fast, tiny) == ""


@pytest.mark.parametrize("factor", [0.0, 0.5, float("nan")])
def test_wrong_speech_tokens_are_found(placed: Placed, tiny: Path, factor: float) -> None:
    weight = placed.t3.get_parameter("tfmr.h.0.attn.c_proj.weight")
    weight.data = weight * factor + 0.1
    assert found_fault(placed, tiny) == "compute speech tokens right"


def test_wrong_mel_frames_are_found(placed: Placed, tiny: Path) -> None:
    projection = placed.decoder.flow.encoder_proj
    projection.weight.data = -projection.weight
    assert found_fault(placed, tiny) == "compute mel frames right"


@pytest.mark.parametrize("factor", [0.0, float("inf")])
def test_wrong_sound_is_found(placed: Placed, tiny: Path, factor: float) -> None:
    weight = placed.decoder.vocoder.network.conv_pre.weight
    weight.data = weight * factor
    assert found_fault(placed, tiny).startswith("compute sound")


def test_a_device_without_the_numbers_is_found(placed: Placed, tiny: Path) -> None:
    """torch's `meta` device is a real one that takes every operator and has no result to give."""
    placed.t3.to("meta")
    assert found_fault(placed, tiny).startswith("compute speech tokens (")


def test_a_gpu_that_fails_leaves_one_line_and_the_cpu_speaks(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.backends.mps.is_built():
        pytest.skip("this torch knows MPS")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)  # and torch fails when it is used
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = ChatterboxSettings(voices_dir=tmp_path, model_dir=tiny, watermark=False, threads=1)
    engine = ChatterboxEngine(settings)
    notice = engine.notice
    assert notice.startswith("this Mac's GPU cannot load the models (RuntimeError: ")
    assert notice.endswith("; speaking on the CPU")
    assert "\n" not in notice
    assert engine.strategy == "cached"
    spoken = engine.stream(Given("Hi"), "default", ChatterboxOptions(tokens=3))
    assert len(np.concatenate([chunk.samples for chunk in spoken])) == 3 * 960
    with pytest.raises(RuntimeError):  # asked for by name, it is taken at its word
        ChatterboxEngine(replace(settings, device="mps"))


def test_a_gpu_that_computes_the_same_is_taken(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == "mps"
    with torch.inference_mode(), PretendDevice("mps"):
        there = Placed(T3.load(tiny, "mps"), S3GenDecoder.load(tiny, "mps"), torch.device("mps"), choose("fp32", CPU))
        assert found_fault(there, tiny) == ""


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_what_is_written_for_the_cpu_is_computed_there(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = place(tiny, "auto", precision)
    assert (found.device, found.notice) == (CPU, "")


def test_missing_weights_are_no_fault_of_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(MissingError):
        place(tmp_path, "auto", "fp32")


def test_a_warning_of_torch_is_not_shown_and_ends_nothing(tiny: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WARNS, str(tiny)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
