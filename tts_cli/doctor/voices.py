"""Asks the engines whether they can speak on this machine, and what they have found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from tts_cli.engines import EngineSpec
from tts_cli.engines.registry import broken, choose, engines, split
from tts_cli.errors import TTSError
from tts_cli.finding import Finding, finding

Preset: TypeAlias = Callable[[EngineSpec], Mapping[str, object]]


def findings(engine: str, given: Mapping[str, Any], preset: Preset, thorough: bool) -> Iterator[Finding]:
    """Run the checks of all engines.

    Parameters
    ----------
    engine, given, preset, thorough
        As for `doctor.findings`.

    Yields
    ------
    Finding
        Those of each engine, then which engine would speak.
    """
    for spec in engines().values():
        fitting = {name: value for name, value in given.items() if spec.has(name)}
        yield from _engine(spec, {**preset(spec), **fitting}, thorough)
    for name, why in broken().items():
        yield Finding(name, "advice", why, "install its package again, or uninstall it")
    yield finding("speaks", lambda: _chosen(engine, given, preset), otherwise="missing")


def _engine(spec: EngineSpec, given: Mapping[str, object], thorough: bool) -> Iterator[Finding]:
    settings, _ = split(spec, given)

    def available() -> str:
        spec.check_available(settings)
        return "what it needs is installed"

    ready = finding(spec.name, available)
    yield ready
    if ready.state != "ok":
        return
    try:
        for each in spec.findings(settings, thorough):
            yield replace(each, topic=f"{spec.name} {each.topic}")
    except Exception as error:  # noqa: BLE001  another package's code may raise anything
        yield Finding(spec.name, "advice", f"its checks failed: {type(error).__name__}: {error}")


def _chosen(engine: str, given: Mapping[str, object], preset: Preset) -> str:
    spec, _ = choose(engine, None, given, preset)
    settings, _ = split(spec, {**preset(spec), **given})
    spec.check_available(settings)
    voices = [voice.name for voice in spec.voices(settings)]
    if not voices:
        raise TTSError(f"{spec.title} has no voice", "choose another engine with --engine")
    return f"with {spec.title}: voice {voices[0]}" + (f" of {len(voices)}" if len(voices) > 1 else "")
