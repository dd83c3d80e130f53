"""Maps the tensors of a safetensors file into memory, and releases the memory of each with the tensor.

safetensors maps the file for all of its tensors together, so what was read of any of them stays in memory until nothing
uses the last one. But most weights are read only once, to be packed or converted.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import sys
import weakref
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

_TYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class MappedTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file by name. Each is mapped when it is asked for, and read when it is used.

    When nothing refers to a tensor any more, its pages are released: on Linux at once, elsewhere with the last tensor.

    Parameters
    ----------
    file
        The file. It must not be changed in place while tensors of it are used.

    Attributes
    ----------
    metadata : dict of str
        What the file says of itself.

    Raises
    ------
    OSError
        If it cannot be read.
    SafetensorError
        If it is damaged or truncated. Tensors of a type that is not known here raise it, too, when they are asked for.

    Examples
    --------
    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "x.safetensors")
    ...     save_file({"a": torch.arange(3)}, file)
    ...     MappedTensors(file)["a"]
    tensor([0, 1, 2])

    References
    ----------
    The format: https://huggingface.co/docs/safetensors, "Format".
    """

    def __init__(self, file: Path) -> None:
        with safe_open(file, framework="pt"):  # type: ignore[no-untyped-call]
            pass  # it has checked the header, and that the file has all that the header says
        with file.open("rb") as stream:
            self._start = 8 + int.from_bytes(stream.read(8), "little")
            self._header: dict[str, dict[str, Any]] = json.loads(stream.read(self._start - 8))
        # Mapped by torch, which closes the file at once; `mmap` would keep it open as long as a tensor is used.
        mapped = torch.UntypedStorage.from_file(str(file), shared=False, nbytes=file.stat().st_size)
        self._mapped = cast("torch.UntypedStorage", mapped)
        self.metadata: dict[str, str] = self._header.pop("__metadata__", {})

    def __getitem__(self, name: str) -> Tensor:
        about = self._header[name]
        kind = _TYPES.get(about["dtype"])
        if kind is None:
            raise SafetensorError(f"tensor {name} has the unknown type {about['dtype']}")
        start, end = (self._start + offset for offset in about["data_offsets"])
        if start == end:
            return torch.empty(about["shape"], dtype=kind)
        # The tensor, and all views of it, hold this object.
        part = (ctypes.c_char * (end - start)).from_address(self._mapped.data_ptr() + start)
        weakref.finalize(part, _release, self._mapped, start, end).atexit = False
        return torch.frombuffer(part, dtype=kind).view(about["shape"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._header)

    def __len__(self) -> int:
        return len(self._header)


def _release(mapped: torch.UntypedStorage, start: int, end: int) -> None:
    """Release the pages that lie in `mapped` between `start` and `end`. Until then, the arguments hold the mapping.

    They are unchanged pages of a file, so the system could read them again.
    """
    if sys.platform != "linux":
        return
    first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
    if first < last:
        _libc().madvise(
            ctypes.c_void_p(mapped.data_ptr() + first), ctypes.c_size_t(last - first), ctypes.c_int(mmap.MADV_DONTNEED)
        )


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
