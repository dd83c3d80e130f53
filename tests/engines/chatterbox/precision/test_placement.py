"""Chatterbox on MPS and CUDA, without either: which operators run there, and that no tensor of the CPU meets them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.engines.chatterbox.precision.kernels import missing
from tests.engines.chatterbox.precision.pretend_device import HANDED_OVER, MixedDevicesError, PretendDevice
from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.precision import choice as precision
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.hift_layers import overlapped
from tts_cli.engines.chatterbox.s3gen.strategies import STRATEGY_CLASSES, Cached, Context
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.token_step import FixedStep
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, prefix_of
from tts_cli.engines.chatterbox.voice.past import past_of
from tts_cli.engines.chatterbox.watermark import Watermarker

TEXT, TOKENS = [15496, 11], [5, 4299, 6000, 17, 900, 33]
IN_FULL = {name: way for name, way in STRATEGY_CLASSES.items() if name != "cached"} | {
    "whole window": partial(Context, window=None)
}
ON = [("mps", "fp32"), ("cuda", "fp32"), ("cuda", "bf16")]
"""The precisions that each device offers."""


@dataclass
class Spoken:
    device: PretendDevice | None
    logits: torch.Tensor
    drawn: list[int]
    sounds: dict[str, Samples]


def pieces(decoder: S3GenDecoder, gen: Any, way: Any, past: Any = None) -> Samples:
    stream = decoder.stream(gen, way, past=past)
    return np.concatenate([stream.push(TOKENS[:4]), stream.push(TOKENS[4:]), stream.push([], final=True)])


def speak(tiny: Path, kept: Path, device: str, kind: str) -> Spoken:
    """Every kind of step once: prefill, tokens, drawing, every strategy, what is kept of a voice in files and read."""
    voice = Conditionals.load(tiny / "conds.pt")
    t3, decoder = T3.load(tiny, device, kind), S3GenDecoder.load(tiny, device, kind)
    for _ in range(2):  # computed and written, then read
        prefix = prefix_of(voice, kept / "voice.t3.safetensors", "model", t3)
        past = past_of(voice.gen, kept / "voice.flow.safetensors", tiny, decoder)
    drawn = list(t3.tokens(TokenRequest(prefix, TEXT, exactly=3)))
    sounds = {name: pieces(decoder, voice.gen, way) for name, way in IN_FULL.items()}
    sounds["cached"] = pieces(decoder, voice.gen, partial(Cached, window=6), past)
    sounds["whole"] = decoder.whole(voice.gen, TOKENS)
    return Spoken(None, t3.logits(prefix, TEXT, TOKENS[:1]).cpu(), drawn, sounds)


@pytest.fixture(scope="module")
def on_the_cpu(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return speak(tiny, tmp_path_factory.mktemp("cpu"), "cpu", "fp32")


@pytest.fixture(scope="module", params=ON, ids="-".join)
def spoken(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    device, kind = request.param
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode(), PretendDevice(device) as pretended:
        patch.setattr(torch.backends.mps, "is_available", lambda: True)
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(precision, "fast_bf16", lambda device: kind == "bf16")
        patch.setattr(FixedStep, "_record", lambda step: None)  # what it would record is computed instead
        found = speak(tiny, tmp_path_factory.mktemp(device), device, kind)
    found.device = pretended
    return found


def test_every_operator_has_a_kernel_on_the_device(spoken: Spoken) -> None:
    assert spoken.device is not None
    assert len(spoken.device.operators) > 50
    assert [name for name in spoken.device.operators if missing(name, spoken.device.device.type)] == []


def test_what_a_gpu_lacks_or_is_bad_at_stays_on_the_cpu(spoken: Spoken) -> None:
    """F0 and the running phase need float64; a token is drawn where its seed means the same everywhere."""
    assert spoken.device is not None
    assert not spoken.device.types & {torch.float64, torch.complex128}
    assert not spoken.device.operators.keys() & {"topk", "exponential_", "cumsum", "argmax"}


def test_the_program_waits_for_the_device_only_to_take_over_logits_and_sound(spoken: Spoken) -> None:
    assert spoken.device is not None
    assert spoken.device.operators[HANDED_OVER] == 0
    speaking = {"model.tokens", "vocoder._decode", "strategies.<lambda>", "decoder.finish", "decoder.whole"}
    once = {"vocoder.__init__", "decoder._past", "tensor_cache.<dictcomp>", "tensor_cache.write", "past._key", ""}
    assert spoken.device.fetched.keys() <= speaking | once


def test_what_is_said_is_what_the_cpu_says(spoken: Spoken, on_the_cpu: Spoken) -> None:
    exact = torch.bfloat16 not in (spoken.device.types if spoken.device else ())
    error = (spoken.logits - on_the_cpu.logits).norm() / on_the_cpu.logits.norm()
    assert error < (1e-5 if exact else 0.03)
    for name, sound in spoken.sounds.items():
        expected = on_the_cpu.sounds[name]
        assert sound.shape == expected.shape
        assert np.isfinite(sound).all()
        if exact:
            assert np.abs(sound - expected).max() < 5e-5, name
    if exact:
        assert spoken.drawn == on_the_cpu.drawn


def test_the_watermark_is_made_on_the_cpu() -> None:
    with torch.inference_mode(), PretendDevice("mps") as device:
        marked = Watermarker.load().stream().push(np.ones(9600, np.float32))
    assert len(marked) == 9600
    assert not device.operators


@pytest.mark.parametrize("device", ["mps", "cuda"])
def test_a_tensor_of_the_cpu_that_meets_one_of_the_device_is_found(device: str) -> None:
    with torch.inference_mode(), PretendDevice(device):
        there = torch.ones(2, 3, device=device)
        assert (there[:, 1:] * 2).cpu().tolist() == [[2, 2], [2, 2]]
        with pytest.raises(MixedDevicesError):
            there + torch.ones(3)
        with pytest.raises(MixedDevicesError):
            torch.cat((torch.empty(0, 3), there))


def test_operators_without_a_kernel_are_found() -> None:
    with torch.inference_mode(), PretendDevice("mps") as device:
        torch.zeros(3, device="mps").index_copy_(0, torch.tensor([1], device="mps"), torch.ones(1, device="mps"))
        F.fold(torch.ones(1, 4, 3, device="mps"), (1, 6), (1, 4), stride=(1, 1))
    assert {name for name in device.operators if missing(name, "mps")} >= {"col2im"}
    assert "index_copy_" in device.operators
    assert not missing("index_copy_", "cuda")
    assert missing("linear_dynamic", "mps")


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(16, 8, 4), (11, 5, 3), (7, 3, 2), (4, 4, 0), (3, 5, 0)])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_overlapping_sum_is_torchs_to_the_last_bit(kernel: int, stride: int, padding: int, n: int) -> None:
    columns = torch.randn(2 * kernel, n, generator=torch.Generator().manual_seed(n))
    length = (n - 1) * stride + kernel - 2 * padding
    expected = F.fold(columns[None], (1, length), (1, kernel), stride=(1, stride), padding=(0, padding))
    assert torch.equal(overlapped(columns, kernel, stride, padding), expected[0, :, 0])
