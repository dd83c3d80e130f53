"""Tensors kept in a file, to be mapped instead of computed again: known by a key, given up when in doubt."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


def write(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write `tensors` with the key to know them by. Raises `OSError`."""
    # The writer of safetensors itself would hide what the disk says.
    file.write_bytes(save({name: each.cpu().contiguous() for name, each in tensors.items()}, {"key": key}))


def keep(tensors: Mapping[str, Tensor], key: str, file: Path) -> None:
    """Write `tensors` beside `file` and put them in its place, if the disk allows; if not, nothing is left behind."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # they will be computed again, and nobody waits for a disk
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _sweep(file)
            write(tensors, key, new)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


def _sweep(file: Path) -> None:
    """Delete what processes that were killed have left beside `file`."""
    for left in file.parent.glob(f".{file.name}.*"):
        if not _at_work(left.suffix[1:]):
            left.unlink(missing_ok=True)


def _at_work(process: str) -> bool:
    """Whether the process of that number runs; what is no number of a process may be anybody's."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError, PermissionError):
        return True
    return True


def kept(file: Path, key: str) -> dict[str, Tensor] | None:
    """The tensors in `file`, mapped into memory; None where it is missing, damaged or of another key."""
    try:
        with safe_open(file, framework="pt") as content:  # type: ignore[no-untyped-call]
            if (content.metadata() or {}).get("key") != key:
                return None
            return {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError):
        return None
