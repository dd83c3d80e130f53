"""What a shell completes: names that are known only on this machine. Without a name, the shell offers files.

Typer calls these functions when somebody presses Tab, and completes commands, options and fixed choices itself. A
function that fails completes nothing, because there is no place for a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tts_cli.errors import TTSError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["devices", "engines", "inputs", "stored_voices", "voices"]

FOLDERS = ("model_dir", "voices_dir")


def voices(ctx: typer.Context) -> list[str]:
    """The voices of all engines, or of the one that is named before."""
    from tts_cli.engines.registry import engines as known
    from tts_cli.engines.registry import split

    found = []
    for spec in known().values():
        if ctx.params.get("engine") in (None, "auto", spec.name):
            given = {name: value for name, value in _folders(ctx.params).items() if spec.has(name)}
            try:
                found += [voice.name for voice in spec.voices(split(spec, given)[0])]
            except TTSError:
                continue
    return sorted(set(found))


def stored_voices(ctx: typer.Context) -> list[str]:
    """The voices that were made here."""
    from tts_cli.engines.chatterbox.voice.store import VoiceStore

    try:
        return VoiceStore(_folders(ctx.params).get("voices_dir")).names()
    except TTSError:
        return []


def devices() -> list[tuple[str, str]]:
    """The numbers of the audio outputs, with their names: a shell would split a name at its spaces."""
    from tts_cli.playback.devices import list_devices
    from tts_cli.printable import on_one_line

    try:
        return [(str(device.index), on_one_line(device.name)) for device in list_devices()]
    except TTSError:
        return []


def inputs() -> list[tuple[str, str]]:
    """The numbers of the audio inputs, with their names."""
    from tts_cli.playback.microphone import list_inputs
    from tts_cli.printable import on_one_line

    try:
        return [(str(device.index), on_one_line(device.name)) for device in list_inputs()]
    except TTSError:
        return []


def engines() -> list[tuple[str, str]]:
    """The engines."""
    from tts_cli.engines.registry import engines as known

    return [("auto", "the first that can speak here"), *((spec.name, spec.summary) for spec in known().values())]


def _folders(given: Mapping[str, object]) -> Mapping[str, Path]:
    from tts_cli.paths import expanded

    return {name: expanded(str(value)) for name in FOLDERS if (value := given.get(name)) is not None}
