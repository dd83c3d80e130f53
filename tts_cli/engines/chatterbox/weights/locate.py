"""Finds Chatterbox's weights on this machine, and checks whether files are missing.

Weights are in the Hugging Face cache, in its own layout. So they are also found if upstream's `from_pretrained` or the
command `hf` has downloaded them, and nothing is stored twice:

    HF_HUB_CACHE/models--ResembleAI--chatterbox-turbo/
        blobs/<digest>                      the content of a file, named by its digest
        refs/main                           the commit of `main` when it was last downloaded
        snapshots/<commit>/<file>           a link to the blob, made when the blob is complete

This module imports neither huggingface_hub nor torch, so that finding weights is fast.

References
----------
"Understand caching" in the documentation of huggingface_hub.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Final

from tts_cli.engines.chatterbox.weights.models import DEFAULT, MODELS, Model, find_model
from tts_cli.errors import MissingError, UsageError
from tts_cli.paths import expanded, explained

__all__ = [
    "INSTALL",
    "Installed",
    "installed",
    "locate",
    "locate_cached",
    "require_packages",
]

INSTALL: Final = "pip install '.[chatterbox]'"
"""The command that installs the packages that Chatterbox needs."""
PACKAGES: Final = ("torch", "safetensors", "huggingface_hub", "chatterbox")

_ANOTHER_CACHE: Final = "let HF_HOME name another folder"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Installed:
    """A folder with weights of a model, which may be incomplete.

    Parameters
    ----------
    model
        The model.
    path
        The folder.
    size
        Bytes of all its files.
    partial
        Bytes of interrupted downloads, which the next download continues.
    lacks
        Files that are missing for speaking or for making voices.
    speaks
        Whether the files for speaking are there.
    """

    model: Model
    path: Path
    size: int
    partial: int
    lacks: tuple[str, ...]
    speaks: bool


def require_packages() -> None:
    """Raise `MissingError` if a package that Chatterbox needs is not installed. No package is imported."""
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise MissingError(f"Chatterbox needs packages that are not installed: {', '.join(absent)}", f"run: {INSTALL}")


def hub_cache() -> Path:
    """The folder of the Hugging Face cache, by the environment variables that huggingface_hub reads, in its order."""
    for variable, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if value := os.environ.get(variable):
            return expanded(os.path.expandvars(value)) / below
    return expanded("~/.cache/huggingface/hub")


def storage(model: Model, cache: Path | None = None) -> Path:
    """The folder of a model in the cache. It need not exist."""
    return (cache or hub_cache()) / f"models--{model.repo.replace('/', '--')}"


def ref_file(folder: Path, revision: str) -> Path:
    """The file with the commit of `revision`, a branch or a tag. `folder` is that of the model in the cache."""
    path = PurePosixPath(revision)
    if not revision or path.is_absolute() or ".." in path.parts or "\\" in revision or "\0" in revision:
        raise UsageError(f"'{revision}' is not the name of a revision", "give a branch, a tag or a commit")
    return folder / "refs" / path


def locate(
    name: str = DEFAULT,
    model_dir: Path | None = None,
    *,
    revision: str | None = None,
    voice_caching: bool = False,
) -> Path:
    """Find the folder with the weights of a model, without using a network.

    Parameters
    ----------
    name
        A name in `models.MODELS`.
    model_dir
        The folder; None for `TTS_MODEL_DIR` or, if that is not set, a snapshot in the cache.
    revision
        As in `locate_cached`.
    voice_caching
        Whether files for making voices must be there, too.

    Returns
    -------
    Path
        A folder in which no file is missing.

    Raises
    ------
    MissingError
        If files are missing. The message has a command to run.
    UsageError
        If the name is unknown, or `revision` is not a valid name.
    """
    model = find_model(name)
    if folder := model_dir or _folder_from_environment():
        folder = expanded(folder)
        with _reading(folder, "take the weights from another folder"):
            return _whole_folder(model, folder, voice_caching)
    return locate_cached(model, revision=revision, voice_caching=voice_caching)


def locate_cached(
    model: Model, cache: Path | None = None, *, revision: str | None = None, voice_caching: bool = False
) -> Path:
    """Find a complete snapshot of a model in the cache.

    Parameters
    ----------
    model
        The model.
    cache
        The folder of the cache; None for `hub_cache()`.
    revision
        A branch, a tag or a commit; None for `main` if that is complete, otherwise the newest complete snapshot.
    voice_caching
        Whether files for making voices must be there, too.

    Returns
    -------
    Path
        The folder of the snapshot.

    Raises
    ------
    MissingError
        If there is no complete snapshot.
    UsageError
        If `revision` is not a valid name.
    """
    seen: list[Path] = []
    place = storage(model, cache)
    with _reading(place, _ANOTHER_CACHE):
        for snapshot in _snapshots(place, revision):
            if not model.missing(snapshot, voice_caching=voice_caching):
                return snapshot
            seen.append(snapshot)
    remedy = _how_to_pull(model, revision)
    if not seen:
        at = f" at revision '{revision}'" if revision else ""
        raise MissingError(f"the weights of Chatterbox {model.name}{at} are not on this machine", remedy)
    lacks = ", ".join(model.missing(seen[0], voice_caching=voice_caching))
    raise MissingError(f"the weights of Chatterbox {model.name} are incomplete: {seen[0]} lacks {lacks}", remedy)


def installed(model_dir: Path | None = None) -> list[Installed]:
    """All folders with weights: `model_dir` or `TTS_MODEL_DIR`, then the snapshots in the cache."""
    found = []
    if folder := model_dir or _folder_from_environment():
        folder = expanded(folder)
        with _reading(folder, "name another folder"):
            found += [_inspect(model, folder) for model in MODELS.values() if (folder / model.t3).is_file()]
    for model in MODELS.values():
        place = storage(model)
        with _reading(place, _ANOTHER_CACHE):
            found += [_inspect(model, snapshot, place / "blobs") for snapshot in _snapshots(place, None)]
    return found


def _reading(folder: Path, otherwise: str) -> AbstractContextManager[None]:
    return explained("read", folder, f"make {folder} readable, or {otherwise}", MissingError)


def _folder_from_environment() -> Path | None:
    value = os.environ.get("TTS_MODEL_DIR")
    return Path(value) if value else None


def _whole_folder(model: Model, folder: Path, voice_caching: bool) -> Path:
    if not folder.is_dir():
        remedy = "leave --model-dir and TTS_MODEL_DIR out and " + _how_to_pull(model, None)
        raise MissingError(f"there is no folder {folder} to take the weights from", remedy)
    lacks = model.missing(folder, voice_caching=voice_caching)
    if not lacks:
        return folder
    others = [other.name for other in MODELS.values() if (folder / other.t3).is_file()]
    remedy = f"complete {folder}, or leave --model-dir and TTS_MODEL_DIR out and run: tts model pull"
    if model.t3 in lacks and others:
        remedy = f"the folder holds another model, so give: --model {others[0]}"
    raise MissingError(f"{folder} lacks {', '.join(lacks)} for Chatterbox {model.name}", remedy)


def _how_to_pull(model: Model, revision: str | None) -> str:
    pull = f"tts model pull {model.name}" + (f" --revision {revision}" if revision else "")
    absent = any(find_spec(name) is None for name in PACKAGES)
    return f"run: {INSTALL} && {pull}" if absent else f"run: {pull}"


def _snapshots(folder: Path, revision: str | None) -> Iterator[Path]:
    """The snapshots of `revision`, or of all revisions if it is None: `main` first, then the newest first."""
    commit = revision or "main"
    if not _COMMIT.fullmatch(commit):
        ref = ref_file(folder, commit)
        # Another program may have been killed while it wrote the file. The next download writes it again.
        commit = ref.read_bytes().decode("ascii", "replace").strip() if ref.is_file() else ""
    snapshots = folder / "snapshots"
    first = snapshots / commit
    if _COMMIT.fullmatch(commit) and first.is_dir():
        yield first
    if revision is None and snapshots.is_dir():
        others = [path for path in snapshots.iterdir() if path.is_dir() and path.name != commit]
        yield from sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)


def _inspect(model: Model, folder: Path, blobs: Path | None = None) -> Installed:
    partial = sum(path.stat().st_size for path in blobs.glob("*.incomplete")) if blobs else 0
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    lacks = tuple(model.missing(folder, voice_caching=True))
    return Installed(model, folder, size, partial, lacks, speaks=not model.missing(folder))
