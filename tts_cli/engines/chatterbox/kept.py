"""Tensors kept in a file: mapped instead of computed again, known by a key, given up when in doubt."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

_SUM: Final = "sum"
_ABANDONED: Final = 3600.0
"""Seconds after which a draft that nobody writes to belongs to a process that was killed."""


def write(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write `tensors` into `file` with the key to know them by. Raises `OSError`."""
    content = {name: each.cpu().contiguous() for name, each in tensors.items()}
    # The writer of safetensors itself would hide what the disk says.
    with file.open("wb") as stream:
        stream.write(save(content | {_SUM: _sum(content)}, {"key": key}))


def keep(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write `tensors` beside `file` and put them in its place, if the disk allows; if not, nothing is left behind."""
    # Threads, and processes of two containers, have one process number and may share the folder.
    new = file.with_name(f".{file.name}.{secrets.token_hex(8)}.part")
    with contextlib.suppress(OSError):  # they will be computed again, and nobody waits for a disk
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write(tensors, key, new)
            _sweep(file, new)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


def _sweep(file: Path, new: Path) -> None:
    """Delete drafts of `file` much older than `new`, by the clock of the disk they are on."""
    now = new.stat().st_mtime
    for left in file.parent.glob(f".{file.name}.*.part"):
        with contextlib.suppress(FileNotFoundError):  # another process may have put it in its place meanwhile
            if now - left.stat().st_mtime > _ABANDONED:
                left.unlink()


def kept(file: Path, key: str) -> dict[str, Tensor] | None:
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
