"""How a run ends: whatever ended it, nothing of the engine's is left running behind it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from engines_for_tests import ToneEngine

from tts_cli.audio import AudioChunk, Samples
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.errors import OutputError
from tts_cli.metrics import Meter
from tts_cli.pipeline import Speaking
from tts_cli.sinks import NullSink
from tts_cli.source import text_argument


class Engine(ToneEngine):
    """Says whether its stream was closed."""

    ended = False

    def stream(self, text: str, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        try:
            while True:
                yield AudioChunk(np.full(960, 0.5, np.float32))
        finally:
            self.ended = True


class FullSink(NullSink):
    """Takes one chunk."""

    taken = 0

    def write(self, samples: Samples, needed: float = 0.0) -> None:
        self.taken += 1
        if self.taken > 1:
            raise OutputError("the disk is full")


def test_the_engines_stream_is_closed_before_a_sinks_error_is_told() -> None:
    engine = Engine(EngineSettings())
    run = Speaking(engine, "sine", SpeakOptions(), text_argument("Hello."), FullSink(), Meter())
    run.start()
    with pytest.raises(OutputError):
        run.result()
    assert engine.ended
