"""The built-in voice, hibari-tts: a segment goes in, its sound comes out about a hundred times faster than it plays.

`ENGINE` tells the registry about it. The engine itself, in `engine`, loads numpy and onnxruntime, and is therefore
imported only when it is to speak.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from tts_cli.engines.options import EngineSettings
from tts_cli.engines.spec import EngineSpec, VoiceInfo
from tts_cli.errors import MissingError

VOICE: Final = "heart"


def _check_available(settings: EngineSettings) -> None:
    del settings
    if find_spec("hibari") is None:
        raise MissingError("the built-in voice is not installed", "run: pip install hibari-tts==0.2.1")


def _voices(settings: EngineSettings) -> Sequence[VoiceInfo]:
    del settings
    return [VoiceInfo(VOICE, "builtin")]


ENGINE: Final = EngineSpec(
    name="builtin",
    title="the built-in voice",
    summary="American English, one voice, on the CPU, with no network.",
    factory="tts_cli.engines.builtin.engine:BuiltinEngine",
    check_available=_check_available,
    voices=_voices,
    own_voices=(VOICE,),
)
