"""How a run ends: whatever ended it, nothing of the engine's is left running behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from tests.harness import PATIENCE
from tests.sample_engines import ToneEngine
from tts_cli.audio import SAMPLE_RATE, AudioChunk, Samples
from tts_cli.engines import EngineSettings, Mode, SpeakOptions
from tts_cli.errors import OutputError, TextError
from tts_cli.metrics import Meter
from tts_cli.pipeline import synthesize
from tts_cli.playback import NullSink, Sink
from tts_cli.playback.file import FileSink
from tts_cli.segment import MAX_CHARS, Segment
from tts_cli.segments import TextSegments
from tts_cli.text.live import LiveText
from tts_cli.text.sources import TextSource, text_argument, text_file
from tts_cli.utterance import Ready, Utterance


class Engine(ToneEngine):
    """Says whether its stream was closed."""

    ended = False

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        try:
            while True:
                yield AudioChunk(np.full(960, 0.5, np.float32), self.sample_rate, segment)
        finally:
            self.ended = True


class Recording(ToneEngine):
    """Says what it was given."""

    def __init__(self) -> None:
        super().__init__(EngineSettings())
        self.given: list[str] = []

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        self.given.append(segment.text)
        return super().speak(segment, options)


def fits(segment: Segment) -> bool:
    return len(segment.text) <= MAX_CHARS


def segments(source: TextSource, meter: Meter, grouped: bool = False) -> TextSegments:
    return TextSegments(source, meter, together=fits if grouped else None)


CHAPTER = "Chapter One\nIt was night. It was dark.\n\nThe end."


def test_a_heading_ends_a_sentence_and_a_blank_line_a_group() -> None:
    for grouped, given in [
        (True, ["Chapter One. It was night. It was dark.", "The end."]),
        (False, ["Chapter One", "It was night.", "It was dark.", "The end."]),
    ]:
        engine, meter = Recording(), Meter()
        list(synthesize(engine, "sine", SpeakOptions(), segments(text_argument(CHAPTER), meter, grouped), meter))
        assert engine.given == given


def test_a_group_takes_no_more_than_an_engine_takes() -> None:
    engine, meter = Recording(), Meter()
    lines = "\n".join(f"- item number {number}" for number in range(100))
    list(synthesize(engine, "sine", SpeakOptions(), segments(text_argument(lines), meter, grouped=True), meter))
    assert all(200 < len(text) <= MAX_CHARS for text in engine.given[:-1])
    assert ". ".join(engine.given) == lines.replace("\n", ". ")


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_a_paragraph_begins_after_a_longer_pause(grouped: bool, mode: Mode) -> None:
    def sound(text: str) -> Samples:
        engine, meter = Recording(), Meter()
        options = SpeakOptions(pause=0.25, mode=mode)
        chunks = list(synthesize(engine, "sine", options, segments(text_argument(text), meter, grouped), meter))
        samples = np.concatenate([chunk.samples for chunk in chunks])
        assert meter.snapshot().sound == pytest.approx(len(samples) / SAMPLE_RATE)
        return samples

    one, two = sound("\n\nOne is here."), sound("Two is here too.\n\n")
    pause = np.zeros(SAMPLE_RATE // 4, np.float32)
    assert np.array_equal(sound("\n\nOne is here.\n\n\nTwo is here too.\n\n"), np.concatenate([one, pause, two]))


class Heard(NullSink):
    """Keeps what it was given, and knows whether that was all."""

    def __init__(self) -> None:
        self.samples = 0
        self.finished = self.played_out = False

    def write(self, chunk: AudioChunk, needed: float = 0.0) -> None:
        self.samples += len(chunk.samples)

    def play_out(self) -> None:
        self.played_out = True

    def finish(self) -> None:
        self.finished = True


@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_what_stands_before_the_place_that_cannot_be_read_is_heard(mode: Mode, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"Some sentence.\n" * 5000 + b"And half of\xff")
    sink, meter = Heard(), Meter()
    source = text_file(tmp_path / "text")
    engine = Recording()
    texts = segments(source, meter, grouped=True)
    run = Utterance(lambda _stack, _pending: Ready(engine, "sine", SpeakOptions(mode=mode), sink, texts), source, meter)
    run.start()
    with pytest.raises(TextError, match="byte 75011"):
        run.result()
    assert sink.played_out
    assert not sink.finished, "half a file is no file"
    assert "".join(engine.given).count("Some sentence.") == 5000
    assert engine.given[-1].endswith("And half of")
    assert sink.samples == pytest.approx(meter.snapshot().sound * SAMPLE_RATE)


class FullSink(NullSink):
    """Takes one chunk."""

    taken = 0

    def write(self, chunk: AudioChunk, needed: float = 0.0) -> None:
        self.taken += 1
        if self.taken > 1:
            raise OutputError("the disk is full")


def speaking(prepare: Callable[[ExitStack], tuple[ToneEngine, Sink]]) -> Utterance:
    source, meter = text_argument("Hello."), Meter()

    def ready(stack: ExitStack, _pending: Callable[[], None]) -> Ready:
        engine, sink = prepare(stack)
        return Ready(engine, "sine", SpeakOptions(), sink, segments(source, meter))

    return Utterance(ready, source, meter)


def test_the_engines_stream_is_closed_before_a_sinks_error_is_told() -> None:
    engine = Engine(EngineSettings())
    run = speaking(lambda _: (engine, FullSink()))
    run.start()
    with pytest.raises(OutputError):
        run.result()
    assert engine.ended


def test_what_fails_just_as_the_run_is_cancelled_is_no_fault_of_its_own() -> None:
    """As where Ctrl-C has reached the player that our sound goes to before it reached us."""
    engine = Engine(EngineSettings())
    run = speaking(lambda _: (engine, FullSink()))
    run.start()
    assert run.wait(60)
    assert engine.ended
    run.cancel()
    run.result()
    assert run.state == "interrupted"


class Loading:
    """Opens a file, and then loads for as long as it is wanted."""

    def __init__(self, folder: Path) -> None:
        self.sink = FileSink(folder / "speech.wav", SAMPLE_RATE)
        self.begun, self.wanted = threading.Event(), threading.Event()
        self.engine = Engine(EngineSettings())

    def __call__(self, stack: ExitStack) -> tuple[ToneEngine, Sink]:
        stack.enter_context(closing(self.sink))
        self.begun.set()
        self.wanted.wait()
        return stack.enter_context(closing(self.engine)), self.sink


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


def test_cancelled_while_it_loads_a_run_ends_behind_that_and_leaves_nothing(tmp_path: Path) -> None:
    loading = Loading(tmp_path)
    run = speaking(loading)
    assert run.state == "loading"
    run.start()
    loading.begun.wait()
    run.cancel()
    assert not run.wait(0)
    loading.wanted.set()
    run.result()
    assert loading.engine.closed
    assert run.ready is None
    assert list(tmp_path.iterdir()) == []


def test_abandoned_while_it_is_stuck_a_run_leaves_nothing(tmp_path: Path) -> None:
    loading = Loading(tmp_path)
    run = speaking(loading)
    run.start()
    loading.begun.wait()
    run.cancel()
    run.abandon()
    assert list(tmp_path.iterdir()) == []
    loading.wanted.set()
    run.result()


def test_abandoned_while_it_closes_by_itself_that_is_waited_for() -> None:
    closing, go_on = threading.Event(), threading.Event()

    def fail(stack: ExitStack) -> tuple[ToneEngine, Sink]:
        stack.callback(go_on.wait)
        stack.callback(closing.set)
        raise OutputError("no such device")

    run = speaking(fail)
    run.start()
    assert closing.wait(60)
    abandon = threading.Thread(target=run.abandon)
    abandon.start()
    abandon.join(0.05)
    assert abandon.is_alive()
    go_on.set()
    abandon.join(60)
    assert run.wait(60)


def test_what_fails_while_loading_is_told() -> None:
    def fail(_stack: ExitStack) -> tuple[ToneEngine, Sink]:
        raise OutputError("no such device")

    run = speaking(fail)
    run.start()
    with pytest.raises(OutputError, match="no such device"):
        run.result()


def test_as_long_as_nothing_is_asked_for_the_chunks_are_the_engines_own() -> None:
    for paced, options in ((False, SpeakOptions()), (True, SpeakOptions(speed=2))):
        engine, meter = Recording(), Meter()
        engine.paced = paced
        source = segments(text_argument("One is here. Two."), meter)
        own = list(engine.stream(segments(text_argument("One is here. Two."), Meter()), "sine", options))
        given = list(synthesize(engine, "sine", options, source, meter))
        assert [chunk.samples.tobytes() for chunk in given] == [chunk.samples.tobytes() for chunk in own]


@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_an_engine_with_one_pace_is_stretched_and_its_pauses_stay(mode: Mode) -> None:
    def seconds(**options: float) -> list[float]:
        meter = Meter()
        source = segments(text_argument(CHAPTER), meter, grouped=True)
        chunks = list(synthesize(Recording(), "sine", SpeakOptions(mode=mode, **options), source, meter))  # type: ignore[arg-type]
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

    source, engine = LiveText(texts()), Recording()
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
    engine, meter = Recording(), Meter()
    chunks = synthesize(engine, "sine", SpeakOptions(), segments(text_argument(text), meter), meter)
    return np.concatenate([chunk.samples for chunk in chunks])
