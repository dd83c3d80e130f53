"""Engines whose sound and pace are known in advance; `--engine engines_for_tests:NAME` selects one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np

from tts_cli.audio import SAMPLE_RATE, SAMPLES_PER_TOKEN, AudioChunk, as_samples
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.errors import ModelError, UsageError
from tts_cli.prebuffer import SECONDS_PER_CHARACTER
from tts_cli.segment import Segment


class ToneEngine:
    """Speaks every text as a tone of 220 Hz, at the pace of speech, as fast as it can."""

    name = "tone"
    sample_rate = SAMPLE_RATE
    groups_sentences = False
    precision = ""
    strategy = ""
    rtf = 0.0

    def __init__(self, settings: EngineSettings) -> None:
        self.closed = False

    def voices(self) -> list[str]:
        return ["sine"]

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        length = options.chunk * SAMPLES_PER_TOKEN
        # 1200 samples are 11 periods: the tone ends where it began, at zero.
        total = round(len(segment.text) * SECONDS_PER_CHARACTER * SAMPLE_RATE / 1200) * 1200
        tone = as_samples(0.5 * np.sin(2 * np.pi * 220 / SAMPLE_RATE * np.arange(total)))
        for start in range(0, total, length):
            chunk = AudioChunk(tone[start : start + length])
            time.sleep(self.rtf * chunk.seconds)
            yield chunk

    def close(self) -> None:
        self.closed = True


class SlowEngine(ToneEngine):
    """Needs one and a half times as long as its sound lasts."""

    rtf = 1.5


class NamedEngine(SlowEngine):
    """Has a voice whose name means something to a terminal, and to Rich."""

    name = "named"

    def voices(self) -> list[str]:
        return ["[/x]\x1b[7m"]


class StallingEngine(ToneEngine):
    """As fast as can be, but stops for 1.5 s behind its third chunk."""

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        for number, chunk in enumerate(super().stream(segment, voice, options)):
            if number == 3:
                time.sleep(1.5)
            yield chunk


class BrokenEngine(ToneEngine):
    """Fails after its first chunk."""

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        yield next(super().stream(segment, voice, options))
        raise ModelError("the model has fallen apart", "put it together again")


class PickyEngine(ToneEngine):
    """Fails on every text with the word "bad" in it, after its first chunk."""

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        for chunk in super().stream(segment, voice, options):
            yield chunk
            if "bad" in segment.text:
                raise ValueError("that\x1b[31m\nwas bad")


class RefusingEngine(ToneEngine):
    """Does not know what it is asked for."""

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        raise UsageError("there is no such strategy", "choose another")


class NanEngine(ToneEngine):
    """Computes something that is no number, in its second chunk."""

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        yield next(super().stream(segment, voice, options))
        yield AudioChunk(np.full(960, np.nan, np.float32))


class StuckEngine(ToneEngine):
    """Gives two chunks and then nothing, for an hour, and does not notice being closed."""

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        for number, chunk in enumerate(super().stream(segment, voice, options)):
            if number == 2:
                time.sleep(3600)
            yield chunk


class TellingEngine(SlowEngine):
    """Says on standard error when it is loaded, and when it begins with a sentence."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        print("loaded", file=sys.stderr, flush=True)  # noqa: T201

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        print("computing", file=sys.stderr, flush=True)  # noqa: T201
        yield from super().stream(segment, voice, options)
