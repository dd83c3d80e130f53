"""int8 for T3 whose inputs have outliers: part of their size moves from the inputs into the weights.

A few channels that are much larger than the rest leave few of the 255 steps for the others. So each channel of a map's
input is divided by a factor, which the layer norm before it takes over, and the map's weights for that channel are
multiplied by it: the same product, and no work added. The factor is √(largest input / largest weight), which is
SmoothQuant's with α = 0.5 (arXiv:2211.10438). A map is changed only where that makes it more exact on a voice; those
without a layer norm before them stay as they are.

The largest inputs are those that a voice's prefix has in fp32. One voice, the one that came with the weights, stands
for all: voices share the weight cache, and which channels are large is for the weights to say rather than for a voice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.precision.conversion import dense, linear_layers
from tts_cli.engines.chatterbox.precision.quantised_layers import Int8Linear, Parts

POSITIONS: Final = 100
"""So many speech tokens of the voice are enough to find the largest inputs by."""
_EVERY: Final = 4
"""One position of so many is enough to compare errors by."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What T3 knows of the voice to calibrate with."""

    speaker: Tensor
    voice_tokens: Tensor

    @property
    def digest(self) -> str:
        """Tells one from another."""
        return hashlib.sha256(self.speaker.numpy().tobytes() + self.voice_tokens.numpy().tobytes()).hexdigest()


def pairs(layers: int) -> Iterator[tuple[str, str]]:
    """The layer norms of a T3 by name, each with the map that alone takes what it gives."""
    for layer in range(layers):
        yield f"tfmr.h.{layer}.ln_1", f"tfmr.h.{layer}.attn.c_attn"
        yield f"tfmr.h.{layer}.ln_2", f"tfmr.h.{layer}.mlp.c_fc"
    yield "tfmr.ln_f", "speech_head"


@torch.no_grad()
def smoothed(t3: nn.Module, layers: int, run: Callable[[], object]) -> dict[str, Parts]:
    """The int8 parts of each linear layer of the fp32 `t3`, by name, and `weight` and `bias` of each changed norm.

    `run` runs it over what is typical.
    """
    norms = {linear: norm for norm, linear in pairs(layers)}
    seen = _seen(t3, layers, run)
    made: dict[str, Parts] = {}
    for name, layer in linear_layers(t3):
        weight, parts = dense(layer), Int8Linear.parts(dense(layer))
        if name in norms:
            rows = seen.pop(norms[name])
            factors = _factors(rows, weight)
            other = Int8Linear.parts(weight * factors)
            some = rows[::_EVERY]
            right = F.linear(some, weight)
            if _error(other, some / factors, right) < _error(parts, some, right):
                norm = cast("nn.LayerNorm", t3.get_submodule(norms[name]))
                made[norms[name]] = {"weight": norm.weight / factors, "bias": norm.bias / factors}
                parts = other
        made[name] = parts
    return made


def put_norms(t3: nn.Module, parts: dict[str, Parts]) -> None:
    """Take the layer norms out of `parts`, and put their numbers into those of `t3`."""
    for name in list(parts):
        norm = t3.get_submodule(name)
        if isinstance(norm, nn.LayerNorm):
            changed = parts.pop(name)
            norm.weight = nn.Parameter(changed["weight"], requires_grad=False)
            norm.bias = nn.Parameter(changed["bias"], requires_grad=False)


def _seen(t3: nn.Module, layers: int, run: Callable[[], object]) -> dict[str, Tensor]:
    """What each layer norm gives, `[positions, width]`, while `run` runs."""
    seen: dict[str, Tensor] = {}
    last = "tfmr.ln_f"

    def record(name: str, given: Tensor) -> None:
        seen[name] = given

    with ExitStack() as hooks:
        for name, _layer in pairs(layers):
            if name != last:
                module = t3.get_submodule(name)
                hook = module.register_forward_hook(lambda _module, _taken, given, name=name: record(name, given))
                hooks.callback(hook.remove)
        # The network itself applies the last norm to its last position only.
        end, final = t3.get_submodule(f"tfmr.h.{layers - 1}"), t3.get_submodule(last)
        hook = end.register_forward_hook(lambda _module, _taken, given: record(last, final(given)))
        hooks.callback(hook.remove)
        run()
    return seen


def _factors(rows: Tensor, weight: Tensor) -> Tensor:
    """For each channel of `rows` `[positions, inputs]` and `weight` `[outputs, inputs]`; 1 where one has nothing."""
    inputs, weights = rows.abs().amax(0), weight.abs().amax(0)
    return torch.where((inputs > 0) & (weights > 0), (inputs / weights).sqrt(), 1.0)


def _error(parts: Parts, rows: Tensor, right: Tensor) -> float:
    return relative(Int8Linear(parts, None)(rows), right)


def relative(found: Tensor, right: Tensor) -> float:
    """Norm of the difference over that of `right`: of each row, and the median of these."""
    return float(((found - right).norm(dim=1) / right.norm(dim=1).clamp_min(1e-30)).median())
