"""Speech servers: segments go out as requests to servers with OpenAI's speech API, and their sound comes back.

`ENGINE` describes the engine for the registry. `engine` holds the engine itself, and is imported only when a server
speaks. Modules outside use `ENGINE`; the command line also uses `options`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final, cast

from tts_cli.engines.options import EngineSettings
from tts_cli.engines.remote.options import RemoteSettings
from tts_cli.engines.spec import EngineSpec, VoiceInfo
from tts_cli.errors import MissingError, TTSError

SAMPLE_RATE: Final = 24_000
"""Samples a second of the engine: the rate of most servers. Sound at another rate is resampled."""


def _check_available(settings: EngineSettings) -> None:
    chosen = cast(RemoteSettings, settings)
    if not chosen.addresses:
        raise MissingError("no speech server is named", "give its address with --server or in TTS_SERVER")
    if find_spec("httpx") is None or find_spec("httpx_sse") is None:
        raise MissingError("the packages for speech servers are missing", "run: pip install '.[remote]'")


def _voices(settings: EngineSettings) -> Sequence[VoiceInfo]:
    """The voices of the servers that are named; none if none is named or answers."""
    try:
        _check_available(settings)
        from tts_cli.engines.remote.engine import RemoteEngine  # needs the packages

        engine = RemoteEngine(settings)
    except TTSError:
        return ()
    try:
        return [VoiceInfo(name, "remote") for name in engine.voices()]
    finally:
        engine.close()


ENGINE: Final = EngineSpec(
    name="remote",
    title="the speech server",
    summary="Any server with OpenAI's speech API, such as `tts serve` on another machine.",
    factory="tts_cli.engines.remote.engine:RemoteEngine",
    sample_rate=SAMPLE_RATE,
    settings=RemoteSettings,
    without=frozenset({"chunk", "seed", "pause"}),
    check_available=_check_available,
    voices=_voices,
)
