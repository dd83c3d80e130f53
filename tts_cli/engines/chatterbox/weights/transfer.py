"""Downloads a file over HTTP: continues it after an interruption, and compares it with its digest."""

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
    """A file of a repository on the hub.

    Parameters
    ----------
    name
        Its name.
    size
        Its size in bytes.
    digest
        Its SHA-256 or, for a small file, its git blob id, in hexadecimal.
    """

    name: str
    size: int
    digest: str


def fetch(file: RemoteFile, url: str, partial: Path, *, headers: dict[str, str], note: Callable[[int], None]) -> None:
    """Download a file, or the rest of it.

    When a connection breaks after it has delivered something, the download is continued at once.

    Parameters
    ----------
    file
        The file.
    url
        Where it is.
    partial
        Where to write it. What is there is not downloaded again.
    headers
        Headers of the requests.
    note
        Called with the number of bytes so far.

    Raises
    ------
    httpx.HTTPError
        If a connection fails without having delivered anything. `partial` stays.
    ModelError
        If the file has not the size or the digest that the hub gives. `partial` is removed.
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
    """The size of the file at `path` in bytes; 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def _fetch_more(
    file: RemoteFile, url: str, out: BinaryIO, headers: dict[str, str], note: Callable[[int], None]
) -> None:
    """Append what one request delivers of the missing bytes to `out`. Raise an error if that is nothing."""
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
    if answer.status_code == 416:  # the server's file ends where the range begins
        raise _damaged(file, f"{file.size} bytes are expected and the server has {out.tell()} at most")
    answer.raise_for_status()
    if answer.status_code != 206:  # the server has ignored the range and sends the whole file
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
    """The digest of the file at `path`, of the kind that `file` has. A git blob id covers a short header, too."""
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
