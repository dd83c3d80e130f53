"""Downloads a model's weights from the hub into the Hugging Face cache, and continues interrupted downloads.

huggingface_hub finds the hub, the user's token and the files of a repository. `transfer` downloads them with plain
HTTP. The library's own `snapshot_download` is not used for two reasons. It deletes a file when the connection is lost
(release 1.33, `_download_to_tmp_and_move`), and files have gigabytes. And it uses Xet for large files, which a mirror
in HF_ENDPOINT may not have.

A file is written to `blobs/<digest>.incomplete`, where the next download continues it. `refs` is written last, so the
old revision is used until the new one is complete.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.filesize import decimal

from tts_cli.engines.chatterbox.weights.hub_errors import explained_for
from tts_cli.engines.chatterbox.weights.locate import hub_cache, locate_cached, ref_file, storage
from tts_cli.engines.chatterbox.weights.models import DEFAULT, Model, find_model
from tts_cli.engines.chatterbox.weights.transfer import RemoteFile, fetch, size_of
from tts_cli.errors import MissingError, TTSError
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
"""The files to download: upstream's `allow_patterns` (tts_turbo.py), without the flow of many steps, which Turbo does
not use."""

_DIGEST: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Transfer:
    """The state of a download.

    Parameters
    ----------
    file
        The name of the file that is being downloaded.
    done, size
        Its bytes so far, and all its bytes.
    total_done, total
        The same for all files together.
    """

    file: str
    done: int
    size: int
    total_done: int
    total: int


Report: TypeAlias = Callable[[Transfer], None]
"""Called with the state of a download, many times a second."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A commit of a model on the hub, and the folder of the model in the cache (`place`)."""

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
        """The lock file that huggingface_hub uses for this file, too."""
        return self.place.parent / ".locks" / self.place.name / f"{file.digest}.lock"

    def has(self, file: RemoteFile) -> bool:
        return size_of(self.folder / file.name) == file.size

    def held(self, file: RemoteFile) -> int:
        """How many bytes of `file` are there already."""
        if self.has(file) or size_of(self.blob(file)) == file.size:
            return file.size
        return min(size_of(self.partial(file)), file.size)


def pull(
    name: str = DEFAULT,
    *,
    revision: str | None = None,
    token: str | None = None,
    offline: bool = False,
    cache: Path | None = None,
    report: Report | None = None,
) -> Path:
    """Download what is missing of a model.

    Parameters
    ----------
    name
        A name in `models.MODELS`.
    revision
        A branch, a tag or a commit; None for `main`.
    token
        The token for the hub; None for `HF_TOKEN` or the stored login.
    offline
        Whether to use no network, as with `HF_HUB_OFFLINE`.
    cache
        The folder of the cache; None for `locate.hub_cache()`.
    report
        Called with the state of the download.

    Returns
    -------
    Path
        The folder of the model. After an error, what has been downloaded stays for the next call.

    Raises
    ------
    UsageError
        If the model or the revision does not exist.
    MissingError
        If a package or a permission is missing, or if the model is not complete and `offline` is set.
    TTSError
        If the network, the hub or the disk fails.
    """
    model = find_model(name)
    cache = cache or hub_cache()
    if offline or _environment_is_offline():
        return _already_here(model, cache, revision)
    revision = revision or "main"
    ref = ref_file(storage(model, cache), revision)
    with explained_for(model, revision):
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
        if isinstance(error.__cause__, OSError):  # it may be there, but cannot be read
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
    # Small files first, so that an interruption leaves one large file to continue.
    files.sort(key=lambda file: (file.size, file.name))
    return _Snapshot(model, commit, tuple(files), storage(model, cache))


def _is_wanted(name: str) -> bool:
    """Whether the file is needed. Names with a folder are not, so no name can lead out of the snapshot."""
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
            # Without compression, so that the bytes can be compared with the size.
            headers = {**build_hf_headers(token=token), "Accept-Encoding": "identity"}
            fetch(file, url, partial, headers=headers, note=note)
            partial.replace(blob)
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:  # without symbolic links, the file itself is put into the snapshot
            blob.replace(pointer)
