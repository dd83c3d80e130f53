"""Where Chatterbox's weights live on this machine, and whether all of them are here.

Weights stay in the Hugging Face cache, in its own layout, so that whatever downloaded them (`tts model pull`,
upstream's `from_pretrained`, the `hf` command) they are found and nothing is stored twice:

    HF_HUB_CACHE/models--ResembleAI--chatterbox-turbo/
        blobs/<digest>                      the bytes of a file, named by their digest
        refs/main                           the commit that `main` stood at when it was last pulled
        snapshots/<commit>/<file>           a link to the blob; it appears when the blob is whole

Source: "Understand caching" in the documentation of huggingface_hub. Neither that package nor torch is
imported here: looking takes a few system calls.
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

from tts_cli.errors import MissingError, UsageError
from tts_cli.paths import expanded, explained

__all__ = [
    "INSTALL",
    "MODELS",
    "Installed",
    "Model",
    "find_model",
    "installed",
    "locate",
    "locate_cached",
    "require_packages",
]

INSTALL: Final = "pip install '.[chatterbox]'"
"""The command that brings the packages which Chatterbox runs on."""
PACKAGES: Final = ("torch", "safetensors", "huggingface_hub", "chatterbox")

_ANOTHER_CACHE: Final = "let HF_HOME name another folder"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Model:
    """A published model: the name users give it, its repository on the hub and its text-to-token network."""

    name: str
    repo: str
    t3: str

    def missing(self, folder: Path, *, voice_caching: bool = False) -> list[str]:
        """The files that `folder` lacks to speak or, with `voice_caching`, to make a voice of a recording
        too.

        `conds.pt`, the voice that comes with the weights, is never among them: a cached voice does without.
        """
        needed = [self.t3, "s3gen_meanflow.safetensors"]
        if voice_caching:
            needed.append("ve.safetensors")
        if not (folder / "tokenizer.json").is_file():  # one file that says what these two say
            needed += ["vocab.json", "merges.txt"]
        return [name for name in needed if not (folder / name).is_file()]


MODELS: Final = {
    model.name: model
    for model in (
        Model("turbo", "ResembleAI/chatterbox-turbo", "t3_turbo_v1.safetensors"),
        Model("nano", "ResembleAI/chatterbox-nano", "t3_nano_v1.safetensors"),
    )
}


@dataclass(frozen=True, slots=True)
class Installed:
    """What this machine holds of a model in one folder, whole or not. Sizes are in bytes.

    `lacks` names the files missing for all that the tool does; `speaks` says whether it can speak all the
    same. `partial` is what an interrupted download has left to be continued.
    """

    model: Model
    path: Path
    size: int
    partial: int
    lacks: tuple[str, ...]
    speaks: bool


def find_model(name: str) -> Model:
    """The model called `name`, or `UsageError` naming those there are."""
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"no model is called '{name}'", f"choose one of: {', '.join(MODELS)}") from None


def require_packages() -> None:
    """Raise `MissingError` where a package that Chatterbox runs on is not installed; imports none of them."""
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise MissingError(f"Chatterbox needs packages that are not here: {', '.join(absent)}", f"run: {INSTALL}")


def hub_cache() -> Path:
    """The Hugging Face cache on this machine, by the variables that huggingface_hub obeys, in its order."""
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
    """The folder of `model` in the cache; it need not exist."""
    return (cache or hub_cache()) / f"models--{model.repo.replace('/', '--')}"


def ref_file(folder: Path, revision: str) -> Path:
    """The file below the storage `folder` that holds the commit of `revision`, a branch or a tag."""
    path = PurePosixPath(revision)
    if not revision or path.is_absolute() or ".." in path.parts or "\\" in revision or "\0" in revision:
        raise UsageError(f"'{revision}' is not the name of a revision", "give a branch, a tag or a commit")
    return folder / "refs" / path


def locate(
    name: str = "turbo",
    model_dir: Path | None = None,
    *,
    revision: str | None = None,
    voice_caching: bool = False,
) -> Path:
    """The folder with the weights of the model `name`, looked up without a network.

    `model_dir`, or else the environment's `TTS_MODEL_DIR`, is a folder with the files themselves and then
    the only place looked at; otherwise it is the cache (`locate_cached`). With `voice_caching` the files
    that make a voice of a recording must be there too. Raises `MissingError` with the command to run,
    `UsageError` for unknown names.
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
    """The snapshot of `revision` where one is asked for, else that of `main`, else the newest whole one."""
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
    """Everything here of every model, whole or not: the folder given by hand, then the cache's snapshots."""
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
    """Snapshots in the storage `folder` for `revision`, best first; None takes any, `main` before all."""
    commit = revision or "main"
    if not _COMMIT.fullmatch(commit):
        ref = ref_file(folder, commit)
        # Whoever was killed while writing it may have left anything; the next pull writes it anew.
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
