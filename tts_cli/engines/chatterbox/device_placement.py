"""Loads T3 and S3Gen on a device, and checks with `auto` that the device computes what the CPU computes.

torch may lack a kernel for a GPU, or have a wrong one. So before `auto` chooses a GPU, a token and a block of sound are
computed there and compared with the CPU's.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.options import FLOW_STEPS
from tts_cli.engines.chatterbox.precision.choice import Precision, choose
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.noise import SeededNoise
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.t3.network import SPEAKER_WIDTH
from tts_cli.engines.chatterbox.voice.conditionals import sample_of
from tts_cli.engines.chatterbox.weights.config import MEL_BINS, SPEAKER_SIZE
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.errors import TTSError

NAMES: Final = {"mps": "this Mac's GPU", "cuda": "this machine's CUDA device"}
TOKENS: Final = [5, 4299, 6000, 17]
"""Any speech tokens, to compute with."""
LIMITS: Final = {"fp32": 0.02, "bf16": 0.2}
"""The largest relative difference from the CPU's results in fp32. That of wrong results is about 1."""


@dataclass(frozen=True, slots=True)
class Placed:
    """T3 and S3Gen, with their device and precision."""

    t3: T3
    decoder: S3GenDecoder
    device: torch.device
    precision: Precision
    notice: str = ""
    """A line for the user if they are not on the device that `auto` tried first; otherwise empty."""


def place(
    folder: Path,
    device: str,
    precision: str,
    flow_steps: int = FLOW_STEPS,
    *,
    timed: tuple[str, str] | None = None,
) -> Placed:
    """Load T3 and S3Gen. Raises what `T3.load`, `S3GenDecoder.load` and `pick_device` raise.

    Parameters
    ----------
    folder
        The folder with the weights.
    device
        `cpu`, `cuda` or `mps`; `auto` for a GPU that passes the check, otherwise the CPU.
    precision
        One of `options.PRECISIONS`, or `auto`.
    flow_steps
        How many steps the flow takes.
    timed
        The device and the precision that timing has chosen, as far as these are `auto`; None for the usual ones.

    Returns
    -------
    Placed
        The networks, ready to compute.
    """
    # torch warns in many cases, such as a fall-back to the CPU. With `-W error`, a warning would end the speech.
    warnings.filterwarnings("ignore", module=r"(torch|tts_cli\.engines\.chatterbox)(\.|$)")
    cpu = torch.device("cpu")
    for_cpu = device == "auto" and precision in ("int8", "int4")
    first, numbers = timed or ("cpu" if for_cpu else device, precision)
    chosen = pick_device(first)
    if device != "auto" or chosen == cpu:
        return _load(folder, chosen, numbers, flow_steps)
    try:
        placed = _load(folder, chosen, numbers, flow_steps)
    except TTSError:
        raise
    except Exception as error:  # noqa: BLE001 (a device may fail in any way: memory, driver, a missing kernel)
        fault = f"load the models ({_line(error)})"
    else:
        fault = found_fault(placed, folder)
        if not fault:
            return placed
        del placed
    notice = f"{NAMES.get(chosen.type, chosen.type)} cannot {fault}; speaking on the CPU"
    return replace(_load(folder, cpu, precision, flow_steps), notice=notice)


def found_fault(placed: Placed, folder: Path) -> str:
    """What the device of `placed` cannot do, in words that follow "cannot"; empty if its results are right."""
    limit = LIMITS[placed.precision.s3gen]
    what = "compute speech tokens"
    try:
        if _apart(_logits(placed.t3), _logits(T3.load(folder))) > limit:
            return f"{what} right"
        reference = S3GenDecoder.load(folder, flow_steps=placed.decoder.flow.decoder.count)
        for what, compute in (("compute mel frames", _mels), ("compute sound", _sound)):
            if _apart(compute(placed.decoder), compute(reference)) > limit:
                return f"{what} right"
    except TTSError:
        raise
    except Exception as error:  # noqa: BLE001 (as in `place`)
        return f"{what} ({_line(error)})"
    return ""


def _load(folder: Path, device: torch.device, precision: str, flow_steps: int) -> Placed:
    chosen = choose(precision, device)
    with ThreadPoolExecutor(2) as pool:  # T3, flow and vocoder wait for memory, and meanwhile release Python's lock
        loading = pool.submit(S3GenDecoder.load, folder, str(device), precision, flow_steps, pool)
        t3 = T3.load(folder, device, precision, sample_of(folder))
        return Placed(t3, loading.result(), device, chosen)


def _logits(t3: T3) -> Tensor:
    prefix = t3.prefix(_wave(1, SPEAKER_WIDTH), torch.tensor(TOKENS))
    return t3.logits(prefix, [15496, 11], TOKENS[:1]).cpu()


@torch.inference_mode()
def _mels(decoder: S3GenDecoder) -> Tensor:
    flow = decoder.flow
    voice: dict[str, Any] = {
        "prompt_token": torch.tensor(TOKENS),
        "prompt_feat": _wave(2 * len(TOKENS), MEL_BINS),
        "embedding": _wave(1, SPEAKER_SIZE),
    }
    noise = SeededNoise(0).mels(0, 2 * len(TOKENS))
    begun = torch.cat((SeededNoise(0).prompt(2 * len(TOKENS)), noise), dim=1)
    return flow(flow.prompt(voice), torch.tensor(TOKENS), begun).cpu()


@torch.inference_mode()
def _sound(decoder: S3GenDecoder) -> Tensor:
    """Sound of fixed mel frames. With other frames, phases would differ, and sounds could not be compared."""
    vocoder = decoder.vocoder
    mels = _wave(MEL_BINS, 2 * len(TOKENS)).to(vocoder.device) - 4
    return vocoder.push(vocoder.start(SeededNoise(0)), mels, final=True).cpu()


def _wave(*shape: int) -> Tensor:
    return torch.arange(shape[0] * shape[1]).float().sin().view(shape)


def _apart(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm of `expected`; infinity if `found` has values that are not finite."""
    if not found.isfinite().all():
        return float("inf")
    return float((found.float() - expected).norm() / expected.norm().clamp_min(1e-12))


def _line(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first[:100]}" if first else type(error).__name__
