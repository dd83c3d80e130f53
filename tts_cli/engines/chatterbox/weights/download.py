"""`tts model pull`: bring a model's weights from the hub into the Hugging Face cache, and resume after a cut.

huggingface_hub says where the hub is, who we are and what a repository holds; `transfer` fetches the bytes,
by plain HTTP. The library's own `snapshot_download` throws a file away when the connection is lost for good
(release 1.33, `_download_to_tmp_and_move`), which hurts with files of gigabytes, and gives large ones to
Xet, which a mirror named by HF_ENDPOINT need not speak. Here a file arrives in `blobs/<digest>.incomplete`
and is continued there by whoever pulls next. `refs` moves last: until a new revision is whole, the old one
is spoken with.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.filesize import decimal

from tts_cli.engines.chatterbox.weights.locate import (
    INSTALL,
    Model,
    find_model,
    hub_cache,
    locate_cached,
    ref_file,
    storage,
)
from tts_cli.engines.chatterbox.weights.transfer import RemoteFile, fetch, size_of
from tts_cli.errors import MissingError, TTSError, UsageError
from tts_cli.paths import is_full
from tts_cli.replace import replacing

__all__ = ["Report", "Transfer", "pull"]

WANTED: Final = (
    "t3_*.safetensors",
    "s3gen_meanflow.safetensors",
    "ve.safetensors",
    "*.json",
    "*.txt",
    "*.pt",
    "*.model",
)
"""Upstream's `allow_patterns` (tts_turbo.py), less the flow of many steps, which Turbo never loads."""

_DIGEST: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a pull has come: bytes of the file in transfer, and of all files together."""

    file: str
    done: int
    size: int
    total_done: int
    total: int


Report: TypeAlias = Callable[[Transfer], None]
"""Called with each state of a pull, many times a second."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A commit of a model on the hub, and the `place` in the cache where it goes."""

    model: Model
    commit: str
    files: tuple[RemoteFile, ...]
    place: Path

    @property
    def folder(self) -> Path:
        return self.place / "snapshots" / self.commit

    def blob(self, file: RemoteFile) -> Path:
        return self.place / "blobs" / file.digest

    def partial(self, file: RemoteFile) -> Path:
        return self.blob(file).with_name(f"{file.digest}.incomplete")

    def lock(self, file: RemoteFile) -> Path:
        """The lock that huggingface_hub takes for this file too."""
        return self.place.parent / ".locks" / self.place.name / f"{file.digest}.lock"

    def has(self, file: RemoteFile) -> bool:
        return size_of(self.folder / file.name) == file.size

    def held(self, file: RemoteFile) -> int:
        """Bytes of `file` that need not be fetched any more."""
        if self.has(file) or size_of(self.blob(file)) == file.size:
            return file.size
        return min(size_of(self.partial(file)), file.size)


def pull(
    name: str = "turbo",
    *,
    revision: str | None = None,
    token: str | None = None,
    offline: bool = False,
    cache: Path | None = None,
    report: Report | None = None,
) -> Path:
    """Make the model `name` whole on this machine and return its folder; fetches only what is not here yet.

    `revision` is a branch, a tag or a commit (default `main`); `token` defaults to HF_TOKEN or the stored
    login, `cache` to the Hugging Face cache. With `offline`, or HF_HUB_OFFLINE set, nothing is asked of the
    network. What an interrupted pull has fetched stays, for the next one. Raises `TTSError` for whatever
    goes wrong on the way.
    """
    model = find_model(name)
    cache = cache or hub_cache()
    if offline or _environment_is_offline():
        return _already_here(model, cache, revision)
    revision = revision or "main"
    ref = ref_file(storage(model, cache), revision)
    with _explained(model, revision):
        snapshot = _look_up(model, cache, revision, token)
        _check_room(snapshot)
        _fetch_all(snapshot, token, report or (lambda _: None))
        if revision != snapshot.commit:
            ref.parent.mkdir(parents=True, exist_ok=True)
            with replacing(ref) as file:
                file.write(snapshot.commit.encode())
    return snapshot.folder


def _environment_is_offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def _already_here(model: Model, cache: Path, revision: str | None) -> Path:
    try:
        return locate_cached(model, cache, revision=revision, voice_caching=True)
    except MissingError as error:
        if isinstance(error.__cause__, OSError):  # it may be here, but cannot be read
            raise
        remedy = "go online, without --offline and HF_HUB_OFFLINE, and pull again"
        raise MissingError(f"{error.message}, and we are offline", remedy) from None


def _look_up(model: Model, cache: Path, revision: str, token: str | None) -> _Snapshot:
    from huggingface_hub import HfApi, constants

    try:
        info = HfApi(token=token).model_info(
            model.repo, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        files = [_remote_file(sibling) for sibling in info.siblings or () if _is_wanted(sibling.rfilename)]
        commit = str(info.sha)
        if not _DIGEST.fullmatch(commit):
            raise ValueError(f"'{commit}' is not a commit")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TTSError(
            f"{constants.ENDPOINT} does not answer as a hub does ({type(error).__name__}: {error})",
            "check HF_ENDPOINT, and whether a proxy or a login page stands in between",
        ) from error
    # Small ones first: what is cut off is then one large file, to be continued.
    files.sort(key=lambda file: (file.size, file.name))
    return _Snapshot(model, commit, tuple(files), storage(model, cache))


def _is_wanted(name: str) -> bool:
    """Whether `name` is a file we need; none in a folder is, so no name leads out of the snapshot."""
    return "/" not in name and "\\" not in name and any(fnmatchcase(name, pattern) for pattern in WANTED)


def _remote_file(sibling: Any) -> RemoteFile:
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    if not _DIGEST.fullmatch(str(digest)):
        raise ValueError(f"no digest of {sibling.rfilename}")
    return RemoteFile(sibling.rfilename, int(sibling.size), digest)


def _check_room(snapshot: _Snapshot) -> None:
    needed = sum(file.size - snapshot.held(file) for file in snapshot.files)
    disk = next(path for path in (snapshot.place, *snapshot.place.absolute().parents) if path.exists())
    free = shutil.disk_usage(disk).free
    if needed > free:
        raise TTSError(
            f"not enough room for the weights: {decimal(needed)} needed, {decimal(free)} free at {disk}",
            "make room there, or let HF_HOME name a folder on a larger disk",
        )


def _fetch_all(snapshot: _Snapshot, token: str | None, report: Report) -> None:
    for folder in (
        snapshot.folder,
        snapshot.place / "blobs",
        snapshot.place.parent / ".locks" / snapshot.place.name,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    total = sum(file.size for file in snapshot.files)
    held = {file: snapshot.held(file) for file in snapshot.files}
    for file in snapshot.files:

        def note(done: int, file: RemoteFile = file) -> None:
            held[file] = done
            report(Transfer(file.name, done, file.size, sum(held.values()), total))

        note(held[file])
        if not snapshot.has(file):
            _fetch_one(snapshot, file, token, note)
        note(file.size)


def _fetch_one(snapshot: _Snapshot, file: RemoteFile, token: str | None, note: Callable[[int], None]) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]

    blob, partial, pointer = snapshot.blob(file), snapshot.partial(file), snapshot.folder / file.name
    with WeakFileLock(snapshot.lock(file), timeout=1.0):
        if size_of(blob) != file.size:
            url = hf_hub_url(snapshot.model.repo, file.name, revision=snapshot.commit)
            # Compressed, the bytes could not be counted against the size.
            headers = {**build_hf_headers(token=token), "Accept-Encoding": "identity"}
            fetch(file, url, partial, headers=headers, note=note)
            partial.replace(blob)
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:  # without symbolic links the cache keeps the file itself in the snapshot
            blob.replace(pointer)


@contextmanager
def _explained(model: Model, revision: str) -> Iterator[None]:
    """Turn what huggingface_hub, the network and the disk raise into errors that say what to do."""
    try:
        import filelock
        import httpx
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError
    except ImportError as error:
        raise MissingError(f"downloading needs the package {error.name}", f"run: {INSTALL}") from None
    again = "then run the same command again: what has been fetched is kept"
    try:
        yield
    except RevisionNotFoundError as error:
        remedy = "give one of its branches, tags or commits"
        raise UsageError(f"{model.repo} has no revision '{revision}'", remedy) from error
    except (HfHubHTTPError, httpx.HTTPStatusError) as error:
        raise _refusal(model, error.response.status_code, constants.ENDPOINT) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        message = f"the connection to {constants.ENDPOINT} failed ({why})"
        raise TTSError(message, f"check the network, {again}") from error
    except filelock.Timeout as error:
        raise TTSError("another process is downloading these weights", f"wait for it, {again}") from error
    except OSError as error:
        where = error.filename or storage(model)
        if is_full(error):
            raise TTSError(f"the disk is full at {where}", f"make room, {again}") from error
        message = f"cannot write the weights to {where}: {error.strerror or error}"
        raise TTSError(message, "make that folder writable, or let HF_HOME name another") from error


def _refusal(model: Model, status: int, endpoint: str) -> TTSError:
    if status in {401, 403}:
        return MissingError(
            f"{endpoint} does not let us read {model.repo} (HTTP {status})",
            "set HF_TOKEN to a token that may (https://huggingface.co/settings/tokens)",
        )
    if status == 404:
        return TTSError(f"{endpoint} lacks {model.repo} or a file of it (HTTP 404)", "check HF_ENDPOINT")
    return TTSError(f"{endpoint} answered HTTP {status}", "try again later: what has been fetched is kept")
