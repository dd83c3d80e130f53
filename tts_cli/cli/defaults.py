"""Takes the user's settings as defaults of `tts speak`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tts_cli.cli.settings import Settings
from tts_cli.engines import EngineSettings, EngineSpec, SpeakOptions
from tts_cli.engines.registry import AUTO, choose, split

__all__ = ["arguments", "chosen"]


def arguments(settings: Settings, by_user: Mapping[str, Any], given: Mapping[str, object]) -> dict[str, Any]:
    """The values of the file for the command's own parameters.

    A value is left out where the command would refuse it beside what the user asks for now: an output device, for
    example, if the sound goes to a file.

    Parameters
    ----------
    settings
        The user's settings.
    by_user
        The command's own parameters that the user has given, by name.
    given
        The engine's options that the user has given, by name.

    Returns
    -------
    dict
        Values by the names of parameters.
    """
    values = {name: value for name, value in settings.own.items() if name not in by_user and name != "voice"}
    if "engine" in values:
        values["engine"] = settings.engine(by_user.get("voice"), given)

    def has(name: str) -> bool:
        return by_user.get(name, values.get(name)) not in (None, False)

    def leave_out(*names: str) -> None:
        for name in names:
            values.pop(name, None)

    if has("text"):
        leave_out("file")
    if "fallback" in by_user or ("output_device" in by_user and not has("play")):
        leave_out("output")
    if not has("output"):
        leave_out("play")
    else:
        leave_out("fallback", *(() if has("play") else ("output_device",)))
    if by_user.get("output", values.get("output")) == "-":
        leave_out("json")
    else:
        leave_out("raw")
    sound_file = has("fallback") or (has("output") and by_user.get("output", values.get("output")) != "-")
    if not sound_file and not has("subtitles"):
        leave_out("no_clobber")
    return values


def chosen(
    settings: Settings, engine: str, voice: str | None, given: Mapping[str, object]
) -> tuple[EngineSpec, str | None, EngineSettings, SpeakOptions, str]:
    """Choose the engine and the voice.

    Parameters
    ----------
    settings
        The user's settings.
    engine, voice, given
        As for `registry.choose`.

    Returns
    -------
    spec, voice, settings, options, notice
        The engine, its voice (None for its default), what it loads with and speaks with, and what to tell the user.
    """
    wanted = voice or (settings.own.get("voice") if engine == AUTO else None)
    spec, notice = choose(engine, wanted, given, lambda spec: settings.options(spec, wanted))
    voice = voice or settings.voice(spec)
    named = voice or settings.default_voice(spec)
    return spec, voice, *split(spec, {**settings.options(spec, named), **given}), notice
