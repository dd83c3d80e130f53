"""One file over HTTP, whole or not at all: continued after a cut, and held against its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tts_cli.checks import read_whole
from tts_cli.errors import ModelError

if TYPE_CHECKING:
    import httpx

__all__ = ["RemoteFile", "fetch", "size_of"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: `size` in bytes, `digest` its SHA-256 or, where it is small, its git blob
    id."""

    name: str
    size: int
    digest: str


def fetch(file: RemoteFile, url: str, partial: Path, *, headers: dict[str, str], note: Callable[[int], None]) -> None:
    """Make `partial` hold the bytes of `file`, going on from what it holds; `note` hears how many that are.

    A connection that breaks after it brought something is taken up again at once; where it brought nothing,
    httpx's error is let through and `partial` stays. What is not as published is removed and raised as
    `ModelError`.
    """
    try:
        with partial.open("ab") as out:
            while out.tell() < file.size:
                _fetch_more(file, url, out, headers, note)
        if size_of(partial) != file.size or _digest(partial, file) != file.digest:
            raise _damaged(file, "its content does not have the digest that the hub names")
    except ModelError:
        partial.unlink()
        raise


def size_of(path: Path) -> int:
    """Bytes of the file at `path`, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def _fetch_more(
    file: RemoteFile, url: str, out: BinaryIO, headers: dict[str, str], note: Callable[[int], None]
) -> None:
    """Append what one request brings of the bytes missing in `out`; more than nothing, or raise."""
    import httpx
    from huggingface_hub import constants, get_session

    start = out.tell()
    if start:
        headers = {**headers, "Range": f"bytes={start}-"}
    try:
        with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as answer:
            _copy(file, answer, out, note)
    except httpx.TransportError:
        if out.tell() <= start:
            raise
    else:
        if out.tell() < file.size:
            raise _damaged(file, f"{file.size} bytes are expected and the server sent {out.tell()}")


def _copy(file: RemoteFile, answer: httpx.Response, out: BinaryIO, note: Callable[[int], None]) -> None:
    if answer.status_code == 416:  # the range starts where the server's file has ended
        raise _damaged(file, f"{file.size} bytes are expected and the server has {out.tell()} at most")
    answer.raise_for_status()
    if answer.status_code != 206:  # the whole file, whatever range was asked for
        out.seek(0)
        out.truncate()
    length = read_whole(answer.headers.get("Content-Length", ""))
    if length is not None and "Content-Encoding" not in answer.headers:
        promised = out.tell() + length
        if promised != file.size:
            raise _damaged(file, f"{file.size} bytes are expected and the server has {promised}")
    for piece in answer.iter_bytes():
        out.write(piece)
        if out.tell() > file.size:
            raise _damaged(file, f"{file.size} bytes are expected and the server sends more")
        note(out.tell())


def _digest(path: Path, file: RemoteFile) -> str:
    """The digest of the bytes at `path`, of the kind `file` has. Git hashes a short header with them."""
    if len(file.digest) == 64:
        hasher = hashlib.sha256()
    else:
        hasher = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as data:
        while piece := data.read(1 << 20):
            hasher.update(piece)
    return hasher.hexdigest()


def _damaged(file: RemoteFile, why: str) -> ModelError:
    return ModelError(f"{file.name} did not arrive as published: {why}", "run the same command again to fetch it anew")
