"""Tensors out of safetensors files: mapped into memory, checked one by one, put into modules without any.

Nothing is initialised that is about to be overwritten: modules are built on torch's `meta` device and take
the file's tensors as their own (`assign=True`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from tts_cli.errors import MissingError, ModelError, UsageError

Module = TypeVar("Module", bound=nn.Module)
Shape = tuple[int, ...]

_SAMPLED_BLOCKS: Final = 512
_BLOCK: Final = 4096


def pick_device(name: str) -> torch.device:
    """The device called `name` (`cpu`, `cuda`, `mps`), or the fastest there is for `auto`.

    Raises `UsageError` for an unknown name, `MissingError` where this machine has no such device.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, there in have.items() if there)
    kind = name.partition(":")[0]
    if kind not in have:
        raise UsageError(f"there is no device called {name!r}", "choose one of: auto, cpu, cuda, mps")
    if not have[kind]:
        raise MissingError(f"this machine offers no {kind} device to torch", "use --device cpu")
    return torch.device(name)


def read_tensors(file: Path, shapes: Mapping[str, Shape]) -> dict[str, torch.Tensor]:
    """The tensors of `file` named in `shapes`, mapped from disk (read when first used), floats as float32.

    Raises `MissingError` where there is no such file, and `ModelError` naming file and tensor where the file
    is truncated or a tensor is missing or has another shape.
    """
    if not file.is_file():
        raise MissingError(f"{file} is missing", "fetch the weights with: tts model pull")
    try:
        with safe_open(file, framework="pt") as content:  # type: ignore[no-untyped-call]
            there = set(content.keys())
            return {name: _checked(file, content, there, name, shape) for name, shape in shapes.items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{file} is damaged or truncated: {error}", f"delete {file.resolve()} and run: tts model pull"
        ) from error


def _checked(file: Path, content: safe_open, there: set[str], name: str, shape: Shape) -> torch.Tensor:
    if name not in there:
        raise ModelError(f"{file}: tensor {name} is missing, expected shape {list(shape)}")
    found = list(content.get_slice(name).get_shape())  # type: ignore[no-untyped-call]
    if found != list(shape):
        raise ModelError(f"{file}: tensor {name} has shape {found}, expected {list(shape)}")
    tensor: torch.Tensor = content.get_tensor(name)  # type: ignore[no-untyped-call]
    return tensor.float() if tensor.is_floating_point() else tensor


def stored_shapes(build: Callable[[], nn.Module], prefix: str) -> dict[str, Shape]:
    """Names (behind `prefix`) and shapes of the file's tensors that make up what `build` builds."""
    with torch.device("meta"):
        module = build()
    return {name: shape for parts in _stored(module, prefix).values() for name, shape in parts.items()}


def load_module(build: Callable[[], Module], file: Path, prefix: str, device: torch.device | str = "cpu") -> Module:
    """What `build` builds, holding the tensors of `file` whose names begin with `prefix`; ready to infer.

    The module's own names, behind `prefix`, are the names in the file. A convolution whose class says
    `weight_normed` is stored as magnitude and direction (torch's `weight_norm`); the two are folded into its
    weight. Raises as `read_tensors` does.
    """
    with torch.device("meta"):
        module = build()
    stored = _stored(module, prefix)
    tensors = read_tensors(file, {name: shape for parts in stored.values() for name, shape in parts.items()})
    state = {}
    for own, parts in stored.items():
        values = [tensors[name] for name in parts]
        # `_weight_norm` is what torch's parametrization calls: the folded weight is equal to the last bit.
        state[own] = values[0] if len(values) == 1 else torch._weight_norm(values[1], values[0], 0)  # noqa: SLF001
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False).eval().to(device)


def _stored(module: nn.Module, prefix: str) -> dict[str, dict[str, Shape]]:
    """For each tensor of the module its stored names and shapes: one, or magnitude and direction."""
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
    """What tells a weights file from another: 16 hex digits over its size, time of change and samples of its bytes.

    So a fine-tune in its place is noticed, even one that kept size and time, unless it changed less than a matrix. A
    copy with a time of its own counts as another file: what was kept of the first is computed again, once.
    512 blocks, the header among them, are read: the whole of a gigabyte would take longer than the prefix it guards.
    Raises `OSError`.
    """
    known = weights.stat()
    digest = hashlib.sha256(f"{known.st_size} {known.st_mtime_ns}".encode())
    with weights.open("rb") as file:
        for block in range(_SAMPLED_BLOCKS):
            file.seek(block * max(known.st_size - _BLOCK, 0) // (_SAMPLED_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:16]
