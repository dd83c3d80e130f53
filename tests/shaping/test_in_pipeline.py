"""Shaping between an engine and a sink: what is stretched, when sound is passed on, and what stays as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import numpy as np
import pytest

from tests.given import segments
from tests.harness import PATIENCE
from tests.sample_engines import RecordingEngine, ToneEngine
from tts_cli.audio import AudioChunk, Samples
from tts_cli.engines import EngineSettings, Mode, SpeakOptions
from tts_cli.engines.builtin import SAMPLE_RATE
from tts_cli.metrics import Meter
from tts_cli.pipeline import synthesize
from tts_cli.playback import NullSink
from tts_cli.segment import Segment
from tts_cli.segments import TextSegments
from tts_cli.text.live import LiveText
from tts_cli.text.sources import text_argument
from tts_cli.utterance import Ready, Utterance


def test_as_long_as_nothing_is_asked_for_the_chunks_are_the_engines_own() -> None:
    for paced, options in ((False, SpeakOptions()), (True, SpeakOptions(speed=2))):
        engine, meter = RecordingEngine(), Meter()
        engine.paced = paced
        source = segments(text_argument("One is here. Two."), meter)
        own = list(engine.stream(segments(text_argument("One is here. Two."), Meter()), "sine", options))
        given = list(synthesize(engine, "sine", options, source, meter))
        assert [chunk.samples.tobytes() for chunk in given] == [chunk.samples.tobytes() for chunk in own]


@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_an_engine_with_one_pace_is_stretched_and_its_pauses_stay(mode: Mode) -> None:
    def seconds(**options: float) -> list[float]:
        meter = Meter()
        source = segments(text_argument("It was night. It was dark.\n\nThe end."), meter, grouped=True)
        chunks = list(synthesize(RecordingEngine(), "sine", SpeakOptions(mode=mode, **options), source, meter))  # type: ignore[arg-type]
        assert meter.snapshot().sound == pytest.approx(sum(chunk.seconds for chunk in chunks))
        assert meter.snapshot().chunks == len(chunks)
        return [sum(chunk.seconds for chunk in chunks if chunk.segment.number == number) for number in (0, 1)]

    (one, two), pause = seconds(pause=0.0), 0.5
    assert seconds(pause=pause, speed=2.0) == pytest.approx([one / 2, two / 2 + pause], abs=0.001)
    assert seconds(pause=pause, speed=0.5) == pytest.approx([2 * one, 2 * two + pause], abs=0.001)
    assert seconds(pause=10.0, speed=1.5)[1] == pytest.approx(two / 1.5 + 10 / 1.5, abs=0.001), "at most 10 s"


def test_shaped_sound_comes_while_more_is_computed() -> None:
    computed = 0

    class Counting(ToneEngine):
        def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
            nonlocal computed
            for chunk in super().speak(segment, options):
                computed += 1
                yield chunk

    meter, options = Meter(), SpeakOptions(speed=1.5, volume=3.0, normalize=True, chunk=3)
    source = segments(text_argument("This is a sentence of many chunks."), meter)
    with closing(synthesize(Counting(EngineSettings()), "sine", options, source, meter)) as chunks:
        for given, _ in zip(range(1, 6), chunks, strict=False):
            assert computed == given


class Waited(NullSink):
    """Keeps the sound, and how much there was of it whenever text was waited for."""

    def __init__(self) -> None:
        self.samples = 0
        self.at_waits: list[int] = []
        self.waits = threading.Semaphore(0)

    def write(self, chunk: AudioChunk, needed: float = 0.0) -> None:
        self.samples += len(chunk.samples)

    def text_pending(self) -> None:
        if self.samples:
            self.at_waits.append(self.samples)
            self.waits.release()


def test_while_text_is_waited_for_nothing_is_held_back() -> None:
    sink, meter = Waited(), Meter()

    def texts() -> Iterator[str]:
        for text in ("One is here.\n\n", "Two is here too.\n\n"):
            yield text
            assert sink.waits.acquire(timeout=PATIENCE)

    source, engine = LiveText(texts()), RecordingEngine()
    options = SpeakOptions(speed=1.5, volume=3.0, normalize=True, pause=0.0)

    def ready(_stack: ExitStack, pending: Callable[[], None]) -> Ready:
        return Ready(engine, "sine", options, sink, TextSegments(source, meter, pending=pending))

    run = Utterance(ready, source, meter)
    run.start()
    run.result()
    one, two = (round(len(sound_of(text)) / 1.5) for text in ("One is here.", "Two is here too."))
    assert sink.at_waits == [one, one + two]
    assert sink.samples == pytest.approx(meter.snapshot().sound * SAMPLE_RATE)


def sound_of(text: str) -> Samples:
    """The sound of a text as the engine gives it, one segment, no pause."""
    engine, meter = RecordingEngine(), Meter()
    chunks = synthesize(engine, "sine", SpeakOptions(), segments(text_argument(text), meter), meter)
    return np.concatenate([chunk.samples for chunk in chunks])
