"""How an utterance ends: whatever ended it, nothing of the engine's is left running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from tests.given import segments
from tests.sample_engines import RecordingEngine, ToneEngine
from tts_cli.audio import AudioChunk
from tts_cli.engines import EngineSettings, Mode, SpeakOptions
from tts_cli.engines.builtin import SAMPLE_RATE
from tts_cli.errors import OutputError, TextError
from tts_cli.metrics import Meter
from tts_cli.playback import NullSink, Sink
from tts_cli.playback.file import FileSink
from tts_cli.segment import Segment
from tts_cli.text.sources import text_argument, text_file
from tts_cli.utterance import Ready, Utterance


class Endless(ToneEngine):
    """Says whether its stream was closed."""

    ended = False

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        try:
            while True:
                yield AudioChunk(np.full(960, 0.5, np.float32), self.sample_rate, segment)
        finally:
            self.ended = True


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
    engine = RecordingEngine()
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
    engine = Endless(EngineSettings())
    run = speaking(lambda _: (engine, FullSink()))
    run.start()
    with pytest.raises(OutputError):
        run.result()
    assert engine.ended


def test_what_fails_just_as_the_run_is_cancelled_is_no_fault_of_its_own() -> None:
    """As where Ctrl-C has reached the player that our sound goes to before it reached us."""
    engine = Endless(EngineSettings())
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
        self.engine = Endless(EngineSettings())

    def __call__(self, stack: ExitStack) -> tuple[ToneEngine, Sink]:
        stack.enter_context(closing(self.sink))
        self.begun.set()
        self.wanted.wait()
        return stack.enter_context(closing(self.engine)), self.sink


def test_cancelled_while_it_loads_a_run_ends_after_that_and_leaves_nothing(tmp_path: Path) -> None:
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


def test_a_pause_while_it_loads_holds_until_it_is_resumed() -> None:
    begun, wanted, heard = threading.Event(), threading.Event(), Heard()

    def prepare(_stack: ExitStack) -> tuple[ToneEngine, Sink]:
        begun.set()
        wanted.wait()
        return RecordingEngine(), heard

    run = speaking(prepare)
    run.start()
    begun.wait()
    run.pause()
    wanted.set()
    assert not run.wait(0.2)
    assert not heard.samples
    run.resume()
    run.result()
    assert heard.samples


def test_what_fails_while_loading_is_told() -> None:
    def fail(_stack: ExitStack) -> tuple[ToneEngine, Sink]:
        raise OutputError("no such device")

    run = speaking(fail)
    run.start()
    with pytest.raises(OutputError, match="no such device"):
        run.result()
