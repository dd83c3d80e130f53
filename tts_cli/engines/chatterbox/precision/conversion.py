"""Replaces layers of a loaded module by those of another precision, in place.

The layers are those of `quantised_layers`. A linear layer is made in two steps: its parts are computed from the float32
weight (`quantised`), and the layer is made of the parts (`install`). The parts can be stored between the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, cast

from torch import Tensor, nn

from tts_cli.engines.chatterbox.precision.kernels import int8_packing
from tts_cli.engines.chatterbox.precision.quantised_layers import (
    Bf16Conv1d,
    Bf16Linear,
    Int4Linear,
    Int8Linear,
    Parts,
    Projection,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

_LINEAR: Final[Mapping[str, Any]] = {"bf16": Bf16Linear, "int8": Int8Linear, "int4": Int4Linear}


def convert(module: nn.Module, kind: str) -> None:
    """Replace the linear maps and convolutions inside `module`.

    Convolutions are replaced in bf16 only. A subclass with a `forward` of its own is never replaced.

    Parameters
    ----------
    module
        Has float32 layers. It is changed.
    kind
        `fp32` (nothing is replaced), `bf16`, `int8` or `int4`.

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(4, 4))
    >>> convert(module, "bf16")
    >>> type(module[0]).__name__
    'Bf16Linear'
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
    """Replace the linear layers inside a module by quantised ones.

    Parameters
    ----------
    module
        Has float32 layers. It is changed.
    kind
        `fp32` (nothing is replaced), `bf16`, `int8` or `int4`.
    parts
        The parts of each layer by its name, as `quantised` returns them. It is emptied, to free memory.
    """
    if kind == "fp32":
        return

    def build(item: tuple[str, nn.Module]) -> tuple[str, nn.Module]:
        name, layer = item
        return name, _LINEAR[kind](parts.pop(name), layer.bias)

    for name, layer in _each(build, list(linear_layers(module)), kind == "int8"):
        module.set_submodule(name, layer)


def pack(module: nn.Module, wanted: Callable[[], bool] = lambda: True) -> bool:
    """Pack the weights of all int8 layers inside `module` that are not packed. Results do not change.

    Parameters
    ----------
    module
        Its layers are changed.
    wanted
        Asked before each layer, in other threads. The layer is left as it is if it returns False.

    Returns
    -------
    bool
        Whether all layers are packed.
    """

    def pack_one(layer: Int8Linear) -> bool:
        if not wanted():
            return False
        layer.pack()
        return True

    return all(list(_each(pack_one, [each for each in module.modules() if isinstance(each, Int8Linear)])))


def _each(do: Callable[[Item], Result], items: list[Item], side_by_side: bool = True) -> Iterator[Result]:
    """What `do` gives for each item.

    For Turbo's T3, packing int8 takes a second in two threads; it releases Python's lock. The other kinds are quick,
    and one thread needs less memory at once.
    """
    if not side_by_side:
        yield from map(do, items)
        return
    with ThreadPoolExecutor(2) as pool, int8_packing():
        yield from pool.map(do, items)


def linear_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The linear layers inside `module` that `install` replaces, by name."""
    for name, child in module.named_modules():
        if type(child) in (nn.Linear, Projection):
            yield name, child


def dense(layer: nn.Module) -> Tensor:
    """The layer's weight as `[outputs, inputs]`."""
    weight = cast("Tensor", layer.weight).detach()
    return weight.T if isinstance(layer, Projection) else weight
