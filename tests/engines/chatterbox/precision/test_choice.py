"""What `--precision` comes to on this machine, and on machines that lack something."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tts_cli.engines.chatterbox.options import PRECISIONS
from tts_cli.engines.chatterbox.precision import choice as precision
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.errors import UsageError

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


def machine(patch: pytest.MonkeyPatch, *, bf16: bool, int8: str | None = "fbgemm", int4: bool = True) -> None:
    patch.setattr(precision, "fast_bf16", lambda device: bf16)
    patch.setattr(precision, "int8_engine", lambda: int8)
    patch.setattr(precision, "int4_works", lambda: int4)


@pytest.mark.parametrize(
    ("name", "device", "has", "t3", "s3gen", "why"),
    [
        ("auto", CPU, {"bf16": True}, "int8", "bf16", "int8 T3, bf16 S3Gen (this CPU computes bf16)"),
        ("auto", CPU, {"bf16": False}, "int8", "fp32", "int8 T3, fp32 S3Gen (this CPU is not made for bf16)"),
        ("auto", CPU, {"bf16": True, "int8": None}, "bf16", "bf16", "bf16 (this CPU computes bf16)"),
        ("auto", CPU, {"bf16": False, "int8": None}, "fp32", "fp32", "fp32"),
        ("auto", CUDA, {"bf16": True}, "bf16", "bf16", "bf16 (this cuda device computes bf16)"),
        ("auto", CUDA, {"bf16": False}, "fp32", "fp32", "fp32"),
        ("auto", MPS, {"bf16": False}, "fp32", "fp32", "fp32"),
        ("int4", CPU, {"bf16": True}, "int4", "bf16", "int4 T3, bf16 S3Gen (this CPU computes bf16)"),
        ("bf16", CPU, {"bf16": False}, "bf16", "bf16", "bf16 (this CPU is not made for bf16)"),
        ("fp32", CPU, {"bf16": True}, "fp32", "fp32", "fp32"),
    ],
)
def test_the_choice(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    device: torch.device,
    has: dict[str, Any],
    t3: str,
    s3gen: str,
    why: str,
) -> None:
    machine(monkeypatch, **has)
    chosen = choose(name, device)
    assert (chosen.t3, chosen.s3gen, chosen.why) == (t3, s3gen, why)


@pytest.mark.parametrize(
    ("name", "device", "has", "message"),
    [
        ("fp16", CPU, {}, "choose one of: auto, fp32"),
        ("int8", CUDA, {}, "int8 is written for the CPU, not for cuda"),
        ("int4", MPS, {}, "int4 is written for the CPU, not for mps"),
        ("int8", CPU, {"int8": None}, "cannot compute int8"),
        ("int4", CPU, {"int4": False}, "cannot compute int4"),
        ("bf16", MPS, {}, "this mps device cannot compute bf16"),
    ],
)
def test_what_a_device_cannot_do(
    monkeypatch: pytest.MonkeyPatch, name: str, device: torch.device, has: dict[str, Any], message: str
) -> None:
    machine(monkeypatch, **({"bf16": False} | has))
    with pytest.raises(UsageError, match=message):
        choose(name, device)


@pytest.mark.parametrize("name", ["auto", "fp32", "bf16"])
def test_this_machine_has_an_answer(name: str) -> None:
    chosen = choose(name, CPU)
    assert chosen.t3 in PRECISIONS
    assert chosen.s3gen in ("fp32", "bf16")
    assert chosen.why
