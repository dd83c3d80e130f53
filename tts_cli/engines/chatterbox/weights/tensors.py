"""Reads tensors from safetensors files, which are mapped into memory, checks them, and loads modules with them.

Modules are built on torch's `meta` device, where they have no values, and are not initialised. They then take the
tensors of the file as their own (`assign=True`). So no time is spent on values that are replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from safetensors import SafetensorError
from torch import nn
from torch.overrides import TorchFunctionMode

from tts_cli.engines.chatterbox.weights.mapping import MappedTensors
from tts_cli.errors import MissingError, ModelError, UsageError

Module = TypeVar("Module", bound=nn.Module)
Shape = tuple[int, ...]

_SAMPLED_BLOCKS: Final = 512
_BLOCK: Final = 4096


def pick_device(name: str) -> torch.device:
    """Choose a device.

    Parameters
    ----------
    name
        `cpu`, `cuda` or `mps`; `auto` for CUDA if it is there, otherwise MPS, otherwise the CPU.

    Raises
    ------
    UsageError
        If the name is unknown.
    MissingError
        If this machine has no such device.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, there in have.items() if there)
    kind = name.partition(":")[0]
    if kind not in have:
        raise UsageError(f"there is no device called {name!r}", "choose one of: auto, cpu, cuda, mps")
    if not have[kind]:
        raise MissingError(f"torch finds no {kind} device on this machine", "use --device cpu")
    return torch.device(name)


def read_tensors(file: Path, shapes: Mapping[str, Shape]) -> dict[str, torch.Tensor]:
    """Read tensors of a safetensors file. They are mapped into memory, so they are read from disk when they are used.

    Parameters
    ----------
    file
        The file.
    shapes
        The names of the tensors, and the shapes that they must have.

    Returns
    -------
    dict of Tensor
        By name. Floating-point tensors are float32.

    Raises
    ------
    MissingError
        If there is no such file.
    ModelError
        If the file is truncated, or a tensor is missing or has another shape. The message names file and tensor.
    """
    if not file.is_file():
        raise MissingError(f"{file} is missing", "fetch the weights with: tts model pull")
    try:
        content = MappedTensors(file)
        return {name: _checked(file, content, name, shape) for name, shape in shapes.items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{file} is damaged or truncated: {error}", f"delete {file.resolve()} and run: tts model pull"
        ) from error


def _checked(file: Path, content: MappedTensors, name: str, shape: Shape) -> torch.Tensor:
    if name not in content:
        raise ModelError(f"{file}: tensor {name} is missing, expected shape {list(shape)}")
    tensor = content[name]
    if tensor.shape != shape:
        raise ModelError(f"{file}: tensor {name} has shape {list(tensor.shape)}, expected {list(shape)}")
    return tensor.float() if tensor.is_floating_point() else tensor


class Uninitialised(TorchFunctionMode):
    """While it is active, functions in `torch.nn.init` that fill a tensor with numbers do nothing.

    On the `meta` device they would change nothing, but run torch's reference implementations, which import sympy.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def built(build: Callable[[], Module]) -> Module:
    """The module that `build` makes, on torch's `meta` device: with the shapes of its tensors, but without values.

    Examples
    --------
    >>> built(lambda: nn.Linear(3, 2)).weight
    Parameter containing:
    tensor(..., device='meta', size=(2, 3), requires_grad=True)
    """
    with torch.device("meta"), Uninitialised():
        return build()


def stored_shapes(build: Callable[[], nn.Module], prefix: str) -> dict[str, Shape]:
    """The names, with `prefix` before them, and shapes of the tensors that `load_module` would read."""
    return {name: shape for parts in _stored(built(build), prefix).values() for name, shape in parts.items()}


def load_module(build: Callable[[], Module], file: Path, prefix: str, device: torch.device | str = "cpu") -> Module:
    """Build a module and load its tensors from a file, for inference.

    The weight of a layer whose class has `weight_normed` is stored as magnitude and direction (torch's `weight_norm`)
    and is computed from both. Raises what `read_tensors` raises.

    Parameters
    ----------
    build
        Builds the module.
    file
        The file.
    prefix
        What the names in the file have before the names of the module's tensors.
    device
        Where to put the module.

    Returns
    -------
    Module
        In evaluation mode, on the device.
    """
    module = built(build)
    stored = _stored(module, prefix)
    tensors = read_tensors(file, {name: shape for parts in stored.values() for name, shape in parts.items()})
    state = {}
    for own, parts in stored.items():
        values = [tensors[name] for name in parts]
        # torch's parametrization calls `_weight_norm`, too, so the weight is equal to the last bit.
        state[own] = values[0] if len(values) == 1 else torch._weight_norm(values[1], values[0], 0)  # noqa: SLF001
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False).eval().to(device)


def _stored(module: nn.Module, prefix: str) -> dict[str, dict[str, Shape]]:
    """The stored names and shapes for each tensor of the module: one, or those of magnitude and direction."""
    stored: dict[str, dict[str, Shape]] = {}
    for own, tensor in module.state_dict().items():
        owner, _, kind = own.rpartition(".")
        if kind == "weight" and getattr(module.get_submodule(owner), "weight_normed", False):
            pair = f"{prefix}{owner}.parametrizations.weight.original"
            magnitude = (tensor.shape[0], *[1] * (tensor.ndim - 1))
            stored[own] = {f"{pair}0": magnitude, f"{pair}1": tuple(tensor.shape)}
        else:
            stored[own] = {prefix + own: tuple(tensor.shape)}
    return stored


def fingerprint(weights: Path) -> str:
    """A fingerprint of a weights file: 16 hexadecimal digits.

    It covers the size, the modification time and 512 blocks of 4096 bytes, the header included. So it changes with a
    fine-tune in the same place, even one with the same size and time, unless that has changed only a small part. It
    also changes with a copy that has another time; what was cached for the first is then computed again. Reading all
    of a large file would take longer than computing what is cached for it. Raises `OSError`.
    """
    known = weights.stat()
    digest = hashlib.sha256(f"{known.st_size} {known.st_mtime_ns}".encode())
    with weights.open("rb") as file:
        for block in range(_SAMPLED_BLOCKS):
            file.seek(block * max(known.st_size - _BLOCK, 0) // (_SAMPLED_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:16]
