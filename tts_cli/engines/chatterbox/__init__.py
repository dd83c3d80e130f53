"""Chatterbox Turbo: text → speech tokens (T3) → mel frames (flow) → samples (vocoder), each stage streamed.

Segments come in, and chunks of sound go out (`engine`). `ENGINE` describes the engine for the registry. Importing this
package does not import torch: `S3GenDecoder` and `S3GenStream` are imported when they are first used. Modules outside
use the names in `__all__`; the command line also uses `options`, `proof`, `tuning`, `voice` and `weights`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from tts_cli.engines.chatterbox.options import STRATEGIES, ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.spec import EngineSpec, VoiceInfo
from tts_cli.errors import MissingError
from tts_cli.segment import MAX_CHARS, Segment
from tts_cli.text.pace import seconds

# By default, OpenMP's threads, with which torch computes, spin while they wait for each other. On a busy machine they
# then keep each other from running, which has cost eight times the wall time. torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# oneDNN caches the code that it has generated for a shape of a convolution, and torch caches a description of it, both
# for 1024 shapes by default. Texts and chunks have ever other lengths, so some hundred utterances would fill them. An
# utterance meets many shapes again that the one before had: with 256 in oneDNN's cache, the first audio came a tenth
# later. Both sizes are read when torch is imported or first computes.
for _cache, _shapes in (("ONEDNN_PRIMITIVE_CACHE_CAPACITY", 512), ("LRU_CACHE_CAPACITY", 256)):
    os.environ.setdefault(_cache, str(_shapes))

if TYPE_CHECKING:
    from tts_cli.engines import EngineSettings
    from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder, S3GenStream
    from tts_cli.finding import Finding

__all__ = ["ENGINE", "SAMPLE_RATE", "S3GenDecoder", "S3GenStream"]

TAGS: Final = (
    *("clear throat", "sigh", "shush", "cough", "groan", "sniff", "gasp", "chuckle", "laugh"),
    *("angry", "fear", "surprised", "whispering", "advertisement", "dramatic", "narration"),
    *("crying", "happy", "sarcastic"),
)
"""The tags that Turbo's tokenizer knows (its `added_tokens.json`), written `[laugh]`."""


def _check_available(settings: EngineSettings) -> None:
    from tts_cli.engines.chatterbox.weights.locate import locate, require_packages

    chosen = cast(ChatterboxSettings, settings)
    require_packages()
    locate(chosen.model, chosen.model_dir)


def _voices(settings: EngineSettings) -> Sequence[VoiceInfo]:
    from tts_cli.engines.chatterbox.voice.store import VoiceStore
    from tts_cli.engines.chatterbox.weights.locate import locate

    chosen = cast(ChatterboxSettings, settings)
    try:
        weights = locate(chosen.model, chosen.model_dir)
    except MissingError:
        weights = None
    return VoiceStore(chosen.voices_dir, weights).list()


def _findings(settings: EngineSettings, thorough: bool) -> Iterable[Finding]:
    from tts_cli.engines.chatterbox.diagnostics import findings

    return findings(cast(ChatterboxSettings, settings), thorough)


MAX_SECONDS: Final = 20.0
"""The longest segment of several sentences, in seconds as `text.pace` estimates. Turbo is reported to be unstable after
25 to 30 s, and upstream ends an utterance at 40 s."""


FIRST_SEGMENTS: Final = (100, 150, 225)
"""Characters up to which each of the first segments takes further sentences. Short segments are soon drawn to the end.
Then the next ones can be drawn together, and playing begins early."""


def _together(segment: Segment) -> bool:
    short = segment.number < len(FIRST_SEGMENTS) and len(segment.sentences) > 1
    most = FIRST_SEGMENTS[segment.number] if short else MAX_CHARS
    return len(segment.text) <= most and seconds(segment.text) <= MAX_SECONDS


ENGINE: Final = EngineSpec(
    name="chatterbox",
    title="Chatterbox",
    summary="Chatterbox Turbo and Nano: any voice that there is a recording of.",
    factory="tts_cli.engines.chatterbox.engine:ChatterboxEngine",
    sample_rate=SAMPLE_RATE,
    settings=ChatterboxSettings,
    options=ChatterboxOptions,
    check_available=_check_available,
    voices=_voices,
    own_voices=("default",),
    strategies=STRATEGIES,
    tags=TAGS,
    together=_together,
    findings=_findings,
    baselines="tts_cli.engines.chatterbox.proof.baselines:opened",
    voice_maker="tts_cli.engines.chatterbox.voice.uploaded:UploadedVoices",
)

_HOMES: Final = {
    "S3GenDecoder": "tts_cli.engines.chatterbox.s3gen.decoder",
    "S3GenStream": "tts_cli.engines.chatterbox.s3gen.decoder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
