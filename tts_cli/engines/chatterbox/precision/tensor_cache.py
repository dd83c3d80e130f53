"""Caches tensors in a file. A key says what they were computed from, and a checksum detects a damaged file."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from tts_cli.engines.chatterbox.weights.mapping import MappedTensors
from tts_cli.replace import replacing

_SUM: Final = "sum"


def write(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write tensors into a file.

    Parameters
    ----------
    tensors
        The tensors by name, of any shapes.
    key
        What they were computed from.
    file
        The file to make or to replace.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with file.open("wb") as stream:
        _write(tensors, key, stream)


def store(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write tensors into a file, completely or not at all. If the disk is full or read-only, nothing happens.

    Parameters
    ----------
    tensors, key, file
        As for `write`. Missing folders are made.
    """
    with contextlib.suppress(OSError):  # they can be computed again
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            _write(tensors, key, stream)


def _write(tensors: Mapping[str, Tensor], key: str, stream: BinaryIO) -> None:
    content = {name: each.cpu().contiguous() for name, each in tensors.items()}
    # The writer of safetensors would hide the error of the disk.
    stream.write(save(content | {_SUM: _sum(content)}, {"key": key}))


def stored(file: Path, key: str) -> dict[str, Tensor] | None:
    """Read the tensors in `file`, mapped into memory; None if it is missing or damaged, or has another key."""
    try:
        content = MappedTensors(file)
        if content.metadata.get("key") != key:
            return None
        tensors = dict(content)
    except (OSError, SafetensorError):
        return None
    return tensors if torch.equal(tensors.pop(_SUM, torch.empty(0)), _sum(tensors)) else None


def _sum(tensors: Mapping[str, Tensor]) -> Tensor:
    """A checksum: the SHA-256 of names, types and shapes, and of the sum of each tensor's bytes, eight at a time.

    It detects blocks that were not written and bits that have changed, and is as fast as memory is read.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        data = tensor.reshape(-1).view(torch.uint8)
        words = data[: len(data) // 8 * 8].view(torch.int64)
        total = int(words.sum()) + int(data[words.nbytes :].sum())
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {total}\n".encode())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)
