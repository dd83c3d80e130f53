"""Moves voices between machines: a ZIP file with the `.pt` of a voice and, if it is there, its `.json`.

Prefix and past are left out: they belong to the weights of one machine, and are computed where they are missing. What
comes from another machine is only read: names, sizes and tensors are checked before anything is stored.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tts_cli.engines.chatterbox.voice.store import ENGINE, VoiceStore, check_name, described
from tts_cli.engines.spec import VoiceInfo
from tts_cli.errors import OutputError, UsageError
from tts_cli.paths import check_place, explained
from tts_cli.replace import replacing

LARGEST: Final = {".pt": 16 << 20, ".json": 1 << 16}
"""Bytes in the largest file of each kind, unpacked. The voice of a recording has about 200 kB."""
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What `zipfile` raises for damaged, encrypted and unusual archives."""


def export_voice(store: VoiceStore, name: str, file: Path, force: bool = False) -> None:
    """Write a voice into a ZIP file.

    Parameters
    ----------
    store
        Has the voice.
    name
        The name of the voice.
    file
        The file to make.
    force
        Whether to replace a file.

    Raises
    ------
    UsageError
        If there is no such voice, or there is a file already.
    OutputError
        If the file cannot be written.
    """
    voice = store.path(name)
    check_place(file)
    if file.exists() and not force:
        raise UsageError(f"{file} is already there", "choose another name, or use --force")
    with (
        explained("write", file, "choose another place", OutputError),
        replacing(file) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in (voice, voice.with_suffix(".json")):
            if part.is_file():
                archive.write(part, part.name)


def import_voice(
    file: Path,
    store: VoiceStore,
    name: str | None = None,
    force: bool = False,
    check: Callable[[str], None] = lambda _: None,
) -> VoiceInfo:
    """Store the voice in a ZIP file, completely or not at all.

    Parameters
    ----------
    file
        The file, as `export_voice` writes it.
    store
        Where to store the voice.
    name
        The name that it gets; None for the one that it has in the file.
    force
        Whether to replace a voice that has the name.
    check
        Raises `UsageError` if no voice may have a name.

    Returns
    -------
    VoiceInfo
        What is known about the stored voice.

    Raises
    ------
    UsageError
        If the file is no such archive, is larger than a voice can be, or the name cannot be used.
    ModelError
        If the voice in it is damaged, or contains more than tensors.
    OutputError
        If the store cannot be written to.
    """
    from tts_cli.engines.chatterbox.voice.conditionals import (
        Conditionals,  # imports torch, which `export` does not need
    )

    found, parts = _unpacked(file)
    name = check_name(name or found)
    check(name)
    store.check_free(name, force)
    with store.reserve(name, force) as draft:
        draft.pt.write_bytes(parts[".pt"])
        _check_unpacked_size(file, draft.pt)
        Conditionals.load(draft.pt)
        info = described(VoiceInfo(name, ENGINE, path=store.directory / f"{name}.pt"), _fields(parts.get(".json", b"")))
        draft.describe(info)
    return info


def _unpacked(file: Path) -> tuple[str, dict[str, bytes]]:
    """The name of the voice in the archive, and its files by their suffix."""
    parts: dict[str, bytes] = {}
    names: set[str] = set()
    with explained("read", file, "check its name and its rights"), file.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > sum(LARGEST.values()):  # before its table of contents is read
            raise _no_voice(file, f"it is larger than {sum(LARGEST.values())} bytes")
        try:
            with zipfile.ZipFile(stream) as archive:
                for each in archive.infolist():
                    stem, dot, kind = each.filename.rpartition(".")
                    if dot + kind not in LARGEST or dot + kind in parts or len(names | {stem}) > 1:
                        raise _no_voice(file, f"it contains {each.filename!r}")
                    names.add(check_name(stem))
                    with archive.open(each) as content:
                        parts[dot + kind] = content.read(LARGEST[dot + kind] + 1)
                    if len(parts[dot + kind]) > LARGEST[dot + kind]:
                        raise _no_voice(file, f"{each.filename} is larger than {LARGEST[dot + kind]} bytes")
        except _BROKEN as error:
            raise _no_voice(file, str(error)) from error
    if ".pt" not in parts:
        raise _no_voice(file, "it contains no .pt file")
    return names.pop(), parts


def _check_unpacked_size(file: Path, voice: Path) -> None:
    """Refuse a `.pt` file, itself a ZIP file, that becomes larger than a voice when torch reads it."""
    if zipfile.is_zipfile(voice):
        try:
            with zipfile.ZipFile(voice) as archive:
                size = sum(each.file_size for each in archive.infolist())
        except _BROKEN as error:
            raise _no_voice(file, str(error)) from error
        if size > LARGEST[".pt"]:
            raise _no_voice(file, f"its voice becomes larger than {LARGEST['.pt']} bytes")


def _fields(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return {}


def _no_voice(file: Path, why: str) -> UsageError:
    return UsageError(f"{file} is not an exported voice: {why}", "make one with: tts voice export NAME")
