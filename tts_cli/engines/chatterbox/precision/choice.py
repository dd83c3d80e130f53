"""In which numbers the models store and multiply their weights: what a device can do, and what it is asked for.

`conversion` carries it out. fp32 is the reference: it computes bit for bit what it would without any of this.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from tts_cli.engines.chatterbox.options import AUTO, PRECISIONS
from tts_cli.engines.chatterbox.precision.quantised_layers import int4_works, int8_engine
from tts_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Precision:
    """What was chosen, for each network, and why."""

    t3: str
    """One of `PRECISIONS`."""
    s3gen: str
    """`fp32` or `bf16`."""
    why: str
    """The choice in one line, for the user."""


def choose(name: str, device: torch.device) -> Precision:
    """What `--precision NAME` means on this device; `auto` is the fastest that this device is built for.

    Only the CPU's choices are tested: the others are what torch documents, and bf16 on mps, where it depends
    on the version of macOS, is not offered.

    Raises `UsageError` for an unknown name, and for what the device cannot compute.
    """
    if name not in (AUTO, *PRECISIONS):
        raise UsageError(f"there is no precision called {name!r}", f"choose one of: auto, {', '.join(PRECISIONS)}")
    kind, fast = device.type, fast_bf16(device)
    if name == AUTO:
        name = "int8" if kind == "cpu" and int8_engine() else "bf16" if fast else "fp32"
    elif name in ("int8", "int4") and kind != "cpu":
        raise UsageError(f"{name} is written for the CPU, not for {kind}", "choose --precision auto, or --device cpu")
    elif (name == "int8" and not int8_engine()) or (name == "int4" and not int4_works()):
        raise UsageError(f"this torch cannot compute {name} on this CPU", "choose --precision auto")
    elif name == "bf16" and kind != "cpu" and not fast:
        raise UsageError(f"bf16 is not there on this {kind} device", "choose --precision fp32")
    here = "CPU" if kind == "cpu" else f"{kind} device"
    reason = f"this {here} computes bf16" if fast else f"this {here} is not made for bf16"
    if name in ("int8", "int4"):
        s3gen = "bf16" if fast else "fp32"
        return Precision(name, s3gen, f"{name} T3, {s3gen} S3Gen ({reason})")
    return Precision(name, name, f"{name} ({reason})" if name == "bf16" else name)


def fast_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16, so that it is faster than fp32 there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):  # oneDNN itself is content with emulation
        return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
