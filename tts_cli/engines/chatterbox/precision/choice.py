"""Chooses the precision of each network: what a device can compute, and what the user has asked for."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from tts_cli.engines.chatterbox.options import AUTO, PRECISIONS
from tts_cli.engines.chatterbox.precision.kernels import int8_engine
from tts_cli.engines.chatterbox.precision.quantised_layers import int4_works
from tts_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Precision:
    """The precision of each network, and why it was chosen."""

    t3: str
    """One of `PRECISIONS`."""
    s3gen: str
    """`fp32` or `bf16`."""
    why: str
    """The choice in one line, for the user."""


def choose(name: str, device: torch.device) -> Precision:
    """Choose the precision.

    Only the choices for CPUs are tested. The others follow torch's documentation. bf16 is not offered on MPS, where it
    depends on the version of macOS.

    Parameters
    ----------
    name
        One of `options.PRECISIONS`, or `auto`, the fastest that the device has instructions for.
    device
        Where the networks compute.

    Raises
    ------
    UsageError
        If the name is unknown, or the device cannot compute in the precision.

    Examples
    --------
    >>> choose("fp32", torch.device("cpu"))
    Precision(t3='fp32', s3gen='fp32', why='fp32')
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
        raise UsageError(f"this {kind} device cannot compute bf16", "choose --precision fp32")
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
    if platform.machine().lower() in ("x86_64", "amd64"):  # oneDNN says yes if it can emulate bf16
        return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
