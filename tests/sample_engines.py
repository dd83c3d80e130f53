"""Engines whose sound and pace are known in advance; `--engine tests.sample_engines:NAME` selects one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from tts_cli.audio import TOKEN_RATE, AudioChunk, as_samples
from tts_cli.engines import EngineSettings, Segments, SpeakOptions
from tts_cli.engines.in_order import in_order
from tts_cli.errors import ModelError, UsageError
from tts_cli.playback.prebuffer import SECONDS_PER_CHARACTER
from tts_cli.segment import Segment


class ToneEngine:
    """Speaks every text as a tone of 220 Hz, at the pace of speech, as fast as it can."""

    name = "tone"
    sample_rate = 24_000
    capacity = 8
    precision = ""
    strategy = ""
    paced = False
    rtf = 0.0

    def __init__(self, settings: EngineSettings) -> None:
        self.closed = False

    def voices(self) -> list[str]:
        return ["sine"]

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        return in_order(segments, lambda segment: self.speak(segment, options))

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        """The sound of one segment."""
        length = (options.chunk or 10) * self.sample_rate // TOKEN_RATE
        # A multiple of 11 periods: the tone ends where it began, at zero.
        periods = self.sample_rate // 20
        total = round(len(segment.text) * SECONDS_PER_CHARACTER * self.sample_rate / periods) * periods
        tone = as_samples(0.5 * np.sin(2 * np.pi * 220 / self.sample_rate * np.arange(total)))
        for start in range(0, total, length):
            chunk = AudioChunk(tone[start : start + length], self.sample_rate, segment)
            time.sleep(self.rtf * chunk.seconds)
            yield chunk

    def close(self) -> None:
        self.closed = True


class RecordingEngine(ToneEngine):
    """Says what it was given."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        super().__init__(settings or EngineSettings())
        self.given: list[str] = []

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        self.given.append(segment.text)
        return super().speak(segment, options)


class LowEngine(ToneEngine):
    """The same tone at 16 kHz."""

    sample_rate = 16_000


class HighEngine(ToneEngine):
    """The same tone at 44.1 kHz."""

    sample_rate = 44_100


class SlowEngine(ToneEngine):
    """Needs one and a half times as long as its sound lasts."""

    rtf = 1.5


class BreathlessEngine(SlowEngine):
    """As slow, and speaks no more than four chunks of a text."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        return islice(super().speak(segment, options), 4)


class ChoosingEngine(ToneEngine):
    """Has chosen something by itself, and knows what to do about `SlowChoosingEngine`."""

    chosen: ClassVar[dict[str, object]] = {"device": "cpu", "strategy": "far", "threads": 2, "measured": False}
    if_slow = "measure with: tts tune"


class SlowChoosingEngine(ChoosingEngine):
    """The same, slower than its sound."""

    rtf = 1.1


class NamedEngine(SlowEngine):
    """Has a voice whose name means something to a terminal, and to Rich."""

    name = "named"

    def voices(self) -> list[str]:
        return ["[/x]\x1b[7m"]


class StallingEngine(ToneEngine):
    """As fast as can be, but its fourth chunk takes `stall` seconds."""

    stall = 1.5

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        for number, chunk in enumerate(super().speak(segment, options)):
            if number == 3:
                time.sleep(self.stall)
            yield chunk


class LateEngine(StallingEngine):
    """The same, but not for as long as a sound server stores sound."""

    stall = 0.45


class BrokenEngine(ToneEngine):
    """Fails after its first chunk."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        yield next(super().speak(segment, options))
        raise ModelError("the model has fallen apart", "put it together again")


class PickyEngine(ToneEngine):
    """Fails on every text with the word "bad" in it, after its first chunk."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        for chunk in super().speak(segment, options):
            yield chunk
            if "bad" in segment.text:
                raise ValueError("that\x1b[31m\nwas bad")


class CurtEngine(ToneEngine):
    """Does not speak any text with the word "long" in it to its end, and says so."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        for chunk in super().speak(segment, options):
            if "long" in segment.text:
                yield AudioChunk(chunk.samples, self.sample_rate, segment, notice="that was\x1b[31m\ntoo much")
                return
            yield chunk


class RefusingEngine(ToneEngine):
    """Does not know what it is asked for."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        raise UsageError("there is no such strategy", "choose another")


class MovedEngine(ToneEngine):
    """Is not on the device that it was to be on."""

    notice = "this Mac's GPU cannot compute; speaking on the CPU"


class NanEngine(ToneEngine):
    """Computes something that is no number, in its second chunk."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        yield next(super().speak(segment, options))
        yield AudioChunk(np.full(960, np.nan, np.float32), self.sample_rate, segment)


class StuckEngine(ToneEngine):
    """Gives two chunks and then nothing, for an hour, and does not notice being closed."""

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        for number, chunk in enumerate(super().speak(segment, options)):
            if number == 2:
                time.sleep(3600)
            yield chunk


class TellingEngine(SlowEngine):
    """Says on standard error when it is loaded, and when it begins with a sentence."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        print("loaded", file=sys.stderr, flush=True)  # noqa: T201

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        print("computing", file=sys.stderr, flush=True)  # noqa: T201
        yield from super().speak(segment, options)


class ReplicaEngine(ToneEngine):
    """Says in a notice which process has spoken. Some words make it wait for a test, or fail from then on."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.dead = False

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        self.dead |= "die" in segment.text
        if self.dead:
            raise ModelError(f"the model of process {os.getpid()} has died", "start again")
        if "before" in segment.text:
            self.wait("gate")
        for number, chunk in enumerate(super().speak(segment, options)):
            notice = "" if number else f"process {os.getpid()}"
            yield AudioChunk(chunk.samples, self.sample_rate, segment, notice=notice)
            if number == 0 and "between" in segment.text:
                self.wait("gate")
            if number == 1 and "finally" in segment.text:
                self.wait("last gate")

    def wait(self, gate: str) -> None:
        """Go on when a test reads from a pipe which process this is."""
        with Path(os.environ["TTS_TEST_GATES"], gate).open("w") as pipe:
            pipe.write(f"{os.getpid()}\n")
