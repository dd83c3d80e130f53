"""The built-in voice, hibari-tts: segments come in, and their sound comes out, a hundred times faster than it plays.

`ENGINE` describes the engine for the registry. `engine` holds the engine itself. It loads onnxruntime, so it is
imported only when the voice speaks. Modules outside use `ENGINE` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

from tts_cli.engines.options import EngineSettings
from tts_cli.engines.spec import EngineSpec, VoiceInfo
from tts_cli.errors import MissingError
from tts_cli.finding import Finding, finding

VOICE: Final = "heart"
SAMPLE_RATE: Final = 24_000
"""Samples a second of the voice's model."""


def _check_available(settings: EngineSettings) -> None:
    del settings
    if find_spec("hibari") is None:
        raise MissingError("the built-in voice is not installed", "run: pip install hibari-tts==0.2.1")


def _voices(settings: EngineSettings) -> Sequence[VoiceInfo]:
    del settings
    return [VoiceInfo(VOICE, "builtin")]


def _findings(settings: EngineSettings, thorough: bool) -> Iterable[Finding]:
    del thorough

    def load() -> str:
        from tts_cli.engines.builtin.engine import BuiltinEngine

        BuiltinEngine(settings).close()
        return f"hibari-tts {version('hibari-tts')} with onnxruntime {version('onnxruntime')}: the voice loads"

    yield finding("loading", load)


ENGINE: Final = EngineSpec(
    name="builtin",
    title="the built-in voice",
    summary="American English, one voice, on the CPU, with no network.",
    factory="tts_cli.engines.builtin.engine:BuiltinEngine",
    sample_rate=SAMPLE_RATE,
    check_available=_check_available,
    voices=_voices,
    own_voices=(VOICE,),
    findings=_findings,
)
