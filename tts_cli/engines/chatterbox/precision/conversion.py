"""Layers of a loaded module are replaced in place by those of another precision.

The layers are those of `quantised_layers`. A linear layer is made in two steps: its parts are computed from the float32
weight (`quantised`), and the layer is made of the parts (`install`). The parts can be stored between the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

from torch import Tensor, nn

from tts_cli.engines.chatterbox.precision.quantised_layers import (
    Bf16Conv1d,
    Bf16Linear,
    Int4Linear,
    Int8Linear,
    Parts,
    Projection,
    int8_packing,
)

_LINEAR: Final[Mapping[str, Any]] = {"bf16": Bf16Linear, "int8": Int8Linear, "int4": Int4Linear}


def convert(module: nn.Module, kind: str) -> None:
    """Put layers of this `kind` (`fp32`, `bf16`, `int8` or `int4`) in the place of all float32 ones inside `module`.

    Convolutions become bf16 or stay as they are. A subclass that computes in a way of its own stays.
    """
    install(module, kind, quantised(module, kind))
    if kind == "bf16":
        for name, child in list(module.named_modules()):
            if isinstance(child, nn.Conv1d) and type(child).forward is nn.Conv1d.forward:
                module.set_submodule(name, Bf16Conv1d(child))


def quantised(module: nn.Module, kind: str) -> dict[str, Parts]:
    """The parts of each linear layer inside `module`, by its name; none for `fp32`."""
    if kind == "fp32":
        return {}
    return {name: _LINEAR[kind].parts(dense(layer)) for name, layer in linear_layers(module)}


def install(module: nn.Module, kind: str, parts: dict[str, Parts]) -> None:
    """Put linear layers of this `kind` in their places inside `module`, made of `parts`, which are used up."""
    if kind == "fp32":
        return

    def build(item: tuple[str, nn.Module]) -> tuple[str, nn.Module]:
        name, layer = item
        return name, _LINEAR[kind](parts.pop(name), layer.bias)

    # Packing int8 takes a second a thread for Turbo's T3, and releases Python's lock; what else there is to do is
    # quick, and in one thread it fits into the memory of the parts used up.
    with ThreadPoolExecutor(2) as pool, int8_packing():
        for name, layer in (pool.map if kind == "int8" else map)(build, list(linear_layers(module))):
            module.set_submodule(name, layer)


def linear_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The linear layers inside `module` that `install` replaces, by name."""
    for name, child in module.named_modules():
        if type(child) in (nn.Linear, Projection):
            yield name, child


def dense(layer: nn.Module) -> Tensor:
    """The layer's weight as `[outputs, inputs]`."""
    weight = cast("Tensor", layer.weight).detach()
    return weight.T if isinstance(layer, Projection) else weight
