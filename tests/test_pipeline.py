"""From segments to chunks: what the engine is given, what is added to its sound, and what is measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.given import segments
from tests.harness import PATIENCE
from tests.sample_engines import HighEngine, LowEngine, RecordingEngine, ToneEngine
from tts_cli.audio import AudioChunk, Samples
from tts_cli.engines import EngineSettings, Mode, SpeakOptions
from tts_cli.engines.builtin import SAMPLE_RATE
from tts_cli.metrics import Meter
from tts_cli.pipeline import deliver, synthesize
from tts_cli.playback import NullSink
from tts_cli.segment import MAX_CHARS, Segment
from tts_cli.segments import TextSegments
from tts_cli.text.live import LiveText
from tts_cli.text.sources import text_argument

CHAPTER = "Chapter One\nIt was night. It was dark.\n\nThe end."


def test_a_heading_ends_a_sentence_and_a_blank_line_a_group() -> None:
    for grouped, given in [
        (True, ["Chapter One. It was night. It was dark.", "The end."]),
        (False, ["Chapter One", "It was night.", "It was dark.", "The end."]),
    ]:
        engine, meter = RecordingEngine(), Meter()
        list(synthesize(engine, "sine", SpeakOptions(), segments(text_argument(CHAPTER), meter, grouped), meter))
        assert engine.given == given


def test_a_group_takes_no_more_than_an_engine_takes() -> None:
    engine, meter = RecordingEngine(), Meter()
    lines = "\n".join(f"- item number {number}" for number in range(100))
    list(synthesize(engine, "sine", SpeakOptions(), segments(text_argument(lines), meter, grouped=True), meter))
    assert all(200 < len(text) <= MAX_CHARS for text in engine.given[:-1])
    assert ". ".join(engine.given) == lines.replace("\n", ". ")


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_a_paragraph_begins_after_a_longer_pause(grouped: bool, mode: Mode) -> None:
    def sound(text: str) -> Samples:
        engine, meter = RecordingEngine(), Meter()
        options = SpeakOptions(pause=0.25, mode=mode)
        chunks = list(synthesize(engine, "sine", options, segments(text_argument(text), meter, grouped), meter))
        samples = np.concatenate([chunk.samples for chunk in chunks])
        assert meter.snapshot().sound == pytest.approx(len(samples) / SAMPLE_RATE)
        return samples

    one, two = sound("\n\nOne is here."), sound("Two is here too.\n\n")
    pause = np.zeros(SAMPLE_RATE // 4, np.float32)
    assert np.array_equal(sound("\n\nOne is here.\n\n\nTwo is here too.\n\n"), np.concatenate([one, pause, two]))


@pytest.mark.parametrize("kind", [LowEngine, HighEngine])
def test_a_pause_is_as_long_at_every_rate(kind: type[ToneEngine]) -> None:
    def seconds(pause: float) -> float:
        meter = Meter()
        texts = segments(text_argument("One is here.\n\nTwo is here too."), meter)
        chunks = synthesize(kind(EngineSettings()), "sine", SpeakOptions(pause=pause), texts, meter)
        return sum(chunk.seconds for chunk in chunks)

    assert seconds(0.25) == pytest.approx(seconds(0.0) + 0.25)


class Tagged(ToneEngine):
    """Takes half a second for each sentence, by a clock that we turn, and finds no sound in a tag."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__(EngineSettings())
        self.clock = clock

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        self.clock[0] += 0.5
        if not segment.text.startswith("["):
            yield AudioChunk(np.full(960, 0.5, np.float32), self.sample_rate, segment)


@pytest.mark.parametrize(("mode", "ttfa"), [("streaming", 0.5), ("simple", 1.0)])
def test_a_slow_writer_and_a_tag_without_sound_do_not_count_as_time_to_first_audio(mode: Mode, ttfa: float) -> None:
    clock, waiting = [10.0], threading.Semaphore(0)

    def written() -> Iterator[str]:
        for text in ("[laugh]\n\n", "Hello.\n\n", "Hello.\n\n"):
            assert waiting.acquire(timeout=PATIENCE)
            clock[0] += 3.0
            yield text

    meter = Meter(lambda: clock[0], age=lambda: 0.0)
    source = LiveText(written())
    texts = TextSegments(source, meter, pending=waiting.release)
    for chunk in synthesize(Tagged(clock), "sine", SpeakOptions(mode=mode), texts, meter):
        meter.chunk_handed(chunk)
    assert meter.snapshot().ttfa == pytest.approx(ttfa)
    assert meter.snapshot().total == pytest.approx(1.0)
    assert meter.snapshot().cold_start == pytest.approx(7.0 if mode == "streaming" else 10.5)


class Slow(ToneEngine):
    """Computes for two seconds for a second of sound, by a clock that we turn."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__(EngineSettings())
        self.clock = clock

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        for chunk in super().speak(segment, options):
            self.clock[0] += 2 * chunk.seconds
            yield chunk


class NotingSink(NullSink):
    """Notes the segment of each chunk, and how much sound is to be gathered."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, float]] = []

    def write(self, chunk: AudioChunk, needed: float) -> None:
        super().write(chunk, needed)
        self.taken.append((chunk.segment.number, needed))


def delivered(text: str, chunk: int = 10, wanted: int = 0, **given: Any) -> list[tuple[int, float]]:
    """What a sink is given of a text, all of whose sound takes twice its length to compute.

    With `wanted`, the listener skips when all of it is computed.
    """
    clock, sink = [10.0], NotingSink()
    meter = Meter(lambda: clock[0], age=lambda: 0.0)
    texts = segments(text_argument(text), meter)
    chunks = list(synthesize(Slow(clock), "sine", SpeakOptions(chunk=chunk), texts, meter)) if wanted else None
    texts.wanted = wanted
    computed = synthesize(Slow(clock), "sine", SpeakOptions(chunk=chunk), texts, meter) if chunks is None else chunks
    deliver(iter(computed), texts, sink, meter, **given)
    assert meter.snapshot().ttfa is not None
    return sink.taken


def test_more_is_gathered_for_more_text_and_for_longer_chunks_and_nothing_if_all_is_computed() -> None:
    short, long = delivered("One is here."), delivered("One is here. " * 20)
    assert long[0][1] > 5 * short[0][1] > 0
    assert delivered("One is here.", chunk=20)[0][1] > short[0][1]
    assert {needed for _, needed in delivered("One is here.", all_computed=True)} == {0.0}


def test_segments_before_the_wanted_one_are_dropped_and_the_wanted_one_is_not() -> None:
    text = "One is here. Two is here. Three is here."
    assert {number for number, _ in delivered(text)} == {0, 1, 2}
    assert {number for number, _ in delivered(text, wanted=1)} == {1, 2}


def test_delivery_ends_when_it_is_told_to() -> None:
    left = iter([True, True, False])
    assert len(delivered("One is here.", go_on=lambda: next(left))) == 2
