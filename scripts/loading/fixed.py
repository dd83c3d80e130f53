"""Chatterbox that draws a fixed number of tokens for each segment, for `tts serve --engine loading.fixed:ENGINE`.

Random weights never stop by themselves. The server takes no `tokens` from a request, because that is an option for
measuring only. The number is in the environment variable `LOAD_TOKENS`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace

from tts_cli.audio import AudioChunk
from tts_cli.engines import Segments, SpeakOptions
from tts_cli.engines.chatterbox import ENGINE as CHATTERBOX
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions


class FixedLength(ChatterboxEngine):
    """Chatterbox whose segments are all equally long."""

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `ChatterboxEngine.stream`."""
        fixed = replace(ChatterboxOptions.of(options), tokens=int(os.environ["LOAD_TOKENS"]))
        return super().stream(segments, voice, fixed)


ENGINE = replace(CHATTERBOX, factory="loading.fixed:FixedLength")
