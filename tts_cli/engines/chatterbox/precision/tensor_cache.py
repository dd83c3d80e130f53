"""Tensors kept in a file: mapped instead of computed again, known by a key, given up when in doubt."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tts_cli.replace import replacing

_SUM: Final = "sum"


def write(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write `tensors` into `file` with the key to know them by. Raises `OSError`."""
    with file.open("wb") as stream:
        _write(tensors, key, stream)


def store(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Put `tensors` at `file`, whole, if the disk allows; if not, nothing is left behind."""
    with contextlib.suppress(OSError):  # they will be computed again, and nobody waits for a disk
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            _write(tensors, key, stream)


def _write(tensors: Mapping[str, Tensor], key: str, stream: BinaryIO) -> None:
    content = {name: each.cpu().contiguous() for name, each in tensors.items()}
    # The writer of safetensors itself would hide what the disk says.
    stream.write(save(content | {_SUM: _sum(content)}, {"key": key}))


def stored(file: Path, key: str) -> dict[str, Tensor] | None:
    """The tensors in `file`, mapped into memory; None where it is missing, damaged or of another key."""
    try:
        with safe_open(file, framework="pt") as content:  # type: ignore[no-untyped-call]
            if (content.metadata() or {}).get("key") != key:
                return None
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError):
        return None
    return tensors if torch.equal(tensors.pop(_SUM, torch.empty(0)), _sum(tensors)) else None


def _sum(tensors: Mapping[str, Tensor]) -> Tensor:
    """A digest of names, shapes, types and of the sum of each tensor's bytes, eight at a time.

    Against blocks that never reached the disk and bits that fell over, at the speed of memory.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        data = tensor.reshape(-1).view(torch.uint8)
        words = data[: len(data) // 8 * 8].view(torch.int64)
        total = int(words.sum()) + int(data[words.nbytes :].sum())
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {total}\n".encode())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)
