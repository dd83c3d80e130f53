"""Both models, loaded on a device that was seen to compute what the CPU computes.

That a machine has a GPU does not say that its torch has every kernel for it, or a right one. So before `auto` settles
on a GPU, a token and a block of sound are computed there and held against the CPU's.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

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
LIMITS: Final = {"fp32": 0.02, "bf16": 0.2}
"""How far results may be from the CPU's in fp32, as a part of their size. Wrong ones are as far as 1."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The models, where they compute and in which numbers."""

    t3: T3
    decoder: S3GenDecoder
    device: torch.device
    precision: Precision
    notice: str = ""
    """Why they are not on the device that `auto` tried first, in one line for the user."""


def place(folder: Path, device: str, precision: str) -> Placed:
    """Load T3 and S3Gen from `folder` on the device called `device`; for `auto`, on the fastest that can speak.

    Raises as `T3.load`, `S3GenDecoder.load` and `pick_device` do.
    """
    # Many operators of torch warn, of a fall-back to the CPU for one; with `-W error`, a warning would end the speech.
    warnings.filterwarnings("ignore", module=r"(torch|tts_cli\.engines\.chatterbox)(\.|$)")
    cpu = torch.device("cpu")
    chosen = cpu if device == "auto" and precision in ("int8", "int4") else pick_device(device)
    if device != "auto" or chosen == cpu:
        return _load(folder, chosen, precision)
    try:
        placed = _load(folder, chosen, precision)
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
    return replace(_load(folder, cpu, precision), notice=notice)


def found_fault(placed: Placed, folder: Path) -> str:
    """What the device of `placed` cannot do, to follow "cannot"; empty where it computes what the CPU does."""
    limit = LIMITS[placed.precision.s3gen]
    what = "compute speech tokens"
    try:
        if _apart(_logits(placed.t3), _logits(T3.load(folder))) > limit:
            return f"{what} right"
        reference = S3GenDecoder.load(folder)
        for what, compute in (("compute mel frames", _mels), ("compute sound", _sound)):
            if _apart(compute(placed.decoder), compute(reference)) > limit:
                return f"{what} right"
    except TTSError:
        raise
    except Exception as error:  # noqa: BLE001 (as in `place`)
        return f"{what} ({_line(error)})"
    return ""


def _load(folder: Path, device: torch.device, precision: str) -> Placed:
    chosen = choose(precision, device)
    with ThreadPoolExecutor(1) as pool:  # both wait for memory by turns, and leave Python's lock alone meanwhile
        loading = pool.submit(S3GenDecoder.load, folder, str(device), precision)
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
    """Of the same mel frames everywhere: of others, the sound has another phase, and says nothing."""
    vocoder = decoder.vocoder
    mels = _wave(MEL_BINS, 2 * len(TOKENS)).to(vocoder.device) - 4
    return vocoder.push(vocoder.start(SeededNoise(0)), mels, final=True).cpu()


def _wave(*shape: int) -> Tensor:
    return torch.arange(shape[0] * shape[1]).float().sin().view(shape)


def _apart(found: Tensor, expected: Tensor) -> float:
    """How far `found` is, as a part of the size of `expected`; infinitely where it is no finite number."""
    if not found.isfinite().all():
        return float("inf")
    return float((found.float() - expected).norm() / expected.norm().clamp_min(1e-12))


def _line(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first[:100]}" if first else type(error).__name__
