"""Makes int8 more exact for T3, whose inputs have outliers: part of their size is moved into the weights.

If a few channels of an input are much larger than the others, only few of the 255 steps are left for the others. So
each channel is divided by a factor, in the layer norm before the linear map, and the map's weights for that channel are
multiplied by it. The product is the same, and costs the same. The factor is √(largest input / largest weight). A map is
changed only if it is more exact afterwards, measured with a voice. Maps without a layer norm before them do not change.

The largest inputs are measured in fp32, on the prefix of the voice that came with the weights. That one voice is used
for all, because voices share the weight cache, and because which channels are large depends mostly on the weights.

References
----------
SmoothQuant, with α = 0.5: Xiao et al. 2022, arXiv:2211.10438.
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
"""How many tokens of the voice are used to find the largest inputs."""
_EVERY: Final = 4
"""Errors are compared at every fourth position."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What T3 knows of the voice that is used for calibrating."""

    speaker: Tensor
    """As in `Conditionals`."""
    voice_tokens: Tensor
    """As in `Conditionals`."""

    @property
    def digest(self) -> str:
        """The SHA-256 of both, in hexadecimal."""
        return hashlib.sha256(self.speaker.numpy().tobytes() + self.voice_tokens.numpy().tobytes()).hexdigest()


def pairs(layers: int) -> Iterator[tuple[str, str]]:
    """The names of T3's layer norms, each with that of the linear map that alone reads its result."""
    for layer in range(layers):
        yield f"tfmr.h.{layer}.ln_1", f"tfmr.h.{layer}.attn.c_attn"
        yield f"tfmr.h.{layer}.ln_2", f"tfmr.h.{layer}.mlp.c_fc"
    yield "tfmr.ln_f", "speech_head"


@torch.no_grad()
def smoothed(t3: nn.Module, layers: int, run: Callable[[], object]) -> dict[str, Parts]:
    """Quantise T3 to int8, with smoothing.

    Parameters
    ----------
    t3
        A T3 in fp32. It is not changed.
    layers
        How many layers it has.
    run
        Runs it over typical inputs.

    Returns
    -------
    dict
        The parts of each linear layer by its name, and `weight` and `bias` of each changed norm by its name.
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
    """Remove the layer norms from `parts`, and give their values to those of `t3`."""
    for name in list(parts):
        norm = t3.get_submodule(name)
        if isinstance(norm, nn.LayerNorm):
            changed = parts.pop(name)
            norm.weight = nn.Parameter(changed["weight"], requires_grad=False)
            norm.bias = nn.Parameter(changed["bias"], requires_grad=False)


def _seen(t3: nn.Module, layers: int, run: Callable[[], object]) -> dict[str, Tensor]:
    """The results of each layer norm while `run` runs, `[positions, width]`."""
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
        # The network applies the last norm to the last position only, so a hook applies it to all.
        end, final = t3.get_submodule(f"tfmr.h.{layers - 1}"), t3.get_submodule(last)
        hook = end.register_forward_hook(lambda _module, _taken, given: record(last, final(given)))
        hooks.callback(hook.remove)
        run()
    return seen


def _factors(rows: Tensor, weight: Tensor) -> Tensor:
    """The factor of each channel of `rows` `[positions, inputs]` and `weight` `[outputs, inputs]`; 1 if one is 0."""
    inputs, weights = rows.abs().amax(0), weight.abs().amax(0)
    return torch.where((inputs > 0) & (weights > 0), (inputs / weights).sqrt(), 1.0)


def _error(parts: Parts, rows: Tensor, right: Tensor) -> float:
    return relative(Int8Linear(parts, None)(rows), right)


def relative(found: Tensor, right: Tensor) -> float:
    """The relative error of `found`, `[positions, width]`: the median over positions.

    At each position it is the norm of the difference over the norm of `right`.
    """
    return float(((found - right).norm(dim=1) / right.norm(dim=1).clamp_min(1e-30)).median())
