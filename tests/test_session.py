"""One loaded engine, many utterances: in turn, at the same time, from any thread; each as if it were alone."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import tts_cli
from tests.harness import PATIENCE
from tests.sample_engines import ToneEngine
from tts_cli import Session, Utterance
from tts_cli.audio import AudioChunk, Samples
from tts_cli.engines import EngineSettings
from tts_cli.errors import NothingToSayError, TextError, UsageError
from tts_cli.playback import NullSink

TONE = "tests.sample_engines:ToneEngine"
TEXTS = ("One.", "Two. So!", "Hm?", "Ah.")


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Asserts that the block leaves no thread and no file of its own."""
    before, files = set(threading.enumerate()), set(folder.rglob("*"))
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), thread
    assert set(folder.rglob("*")) == files


def together(chunks: Sequence[AudioChunk]) -> Samples:
    return np.concatenate([chunk.samples for chunk in chunks]) if chunks else np.zeros(0, np.float32)


def alone(session: Session, **options: Any) -> list[Samples]:
    return [together(list(session.stream(text, seed=seed, **options))) for seed, text in enumerate(TEXTS)]


def interleaved(session: Session, rng: random.Random, **options: Any) -> list[tuple[Samples, bool]]:
    """All texts at once, chunk by chunk in a random order, some left early: their sound, and whether it is whole."""
    streams = [session.stream(text, seed=seed, **options) for seed, text in enumerate(TEXTS)]
    patience = [rng.choice([10_000, 1, 2]) for _ in TEXTS]
    found: list[list[AudioChunk]] = [[] for _ in TEXTS]
    open_ones = list(range(len(TEXTS)))
    whole = [True] * len(TEXTS)
    while open_ones:
        at = rng.choice(open_ones)
        if len(found[at]) >= patience[at]:
            streams[at].close()
            whole[at] = False
            open_ones.remove(at)
        elif (chunk := next(streams[at], None)) is None:
            open_ones.remove(at)
        else:
            found[at].append(chunk)
    return [(together(chunks), all_of_it) for chunks, all_of_it in zip(found, whole, strict=True)]


def check_interleavings(session: Session, number: int, **options: Any) -> None:
    expected = alone(session, **options)
    cut = 0
    for seed in range(number):
        for (found, whole), sound in zip(interleaved(session, random.Random(seed), **options), expected, strict=True):
            np.testing.assert_array_equal(found, sound if whole else sound[: len(found)])
            cut += not whole
    assert cut > number / 2, "some have to be left early"


def check_threads(session: Session, rounds: int = 1, **options: Any) -> None:
    """All texts at once, each in a thread of its own, in an order that the system chooses. Some leave early."""
    expected = alone(session, **options)

    def speak(number: int, seed: int) -> tuple[Samples, bool]:
        most = random.Random(number * len(TEXTS) + seed).choice([None, 1, 2]) if number else None
        with closing(session.stream(TEXTS[seed], seed=seed, **options)) as chunks:
            return together(list(islice(chunks, most))), most is None

    with ThreadPoolExecutor(len(TEXTS)) as pool:
        for number in range(rounds):
            spoken = pool.map(partial(speak, number), range(len(TEXTS)))
            for (found, whole), sound in zip(spoken, expected, strict=True):
                np.testing.assert_array_equal(found, sound if whole else sound[: len(found)])


def test_four_at_once_say_what_each_says_alone(tmp_path: Path) -> None:
    with nothing_left(tmp_path), tts_cli.load("builtin") as session:
        check_interleavings(session, 200, chunk=10)
        check_threads(session, 100, chunk=10)


@pytest.mark.slow
def test_four_at_once_on_one_chatterbox_say_what_each_says_alone(tiny: Path, tmp_path: Path) -> None:
    import torch

    settings: dict[str, Any] = {
        "model_dir": tiny,
        "voices_dir": tmp_path,
        "device": "cpu",
        "precision": "fp32",
        "watermark": False,
    }
    threads = torch.get_num_threads()
    with tts_cli.load("chatterbox", **settings) as session:
        list(session.stream("Hello.", tokens=4))  # the voice is loaded and kept
        with nothing_left(tmp_path):
            check_interleavings(session, 200, chunk=2, tokens=3)
            check_threads(session, 100, chunk=2, tokens=3)
            check_threads(session, chunk=5, tokens=30)
    assert torch.get_num_threads() == threads


def test_an_engine_loads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[EngineSettings] = []
    load: Callable[[ToneEngine, EngineSettings], None] = ToneEngine.__init__

    def counted(self: ToneEngine, settings: EngineSettings) -> None:
        loads.append(settings)
        load(self, settings)

    monkeypatch.setattr(ToneEngine, "__init__", counted)
    with tts_cli.load(TONE) as session:
        for _ in range(3):
            assert list(session.stream("Hello."))
    assert len(loads) == 1
    engine = session.engine
    assert isinstance(engine, ToneEngine)
    assert engine.closed


def test_pieces_of_a_text_are_spoken_as_they_come() -> None:
    asked = threading.Semaphore(0)

    def written() -> Iterator[str]:
        yield "One is here. "
        assert asked.acquire(timeout=PATIENCE)
        yield "Two"
        yield " is here."

    with tts_cli.load(TONE) as session:
        chunks = session.stream(written())
        assert next(chunks).segment.text == "One is here."
        asked.release()
        assert [chunk.segment.text for chunk in chunks][-1] == "Two is here."


def test_what_writing_the_text_raises_is_raised() -> None:
    def written() -> Iterator[str]:
        yield "One is here. "
        raise RuntimeError("the writer has fallen asleep")

    with tts_cli.load(TONE) as session, pytest.raises(RuntimeError, match="asleep"):
        list(session.stream(written()))


def test_chunks_say_which_segment_they_are_of() -> None:
    with tts_cli.load(TONE) as session:
        chunks = list(session.stream("One. Two!\n\nThree?"))
    assert sorted({(chunk.segment.number, chunk.segment.text) for chunk in chunks}) == [
        (0, "One."),
        (1, "Two!"),
        (2, "Three?"),
    ]
    assert all(chunk.sample_rate == 24_000 for chunk in chunks)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_an_engine_of_another_rate_keeps_its_pitch_and_length(rate: int, tmp_path: Path) -> None:
    name = {16_000: "LowEngine", 44_100: "HighEngine"}[rate]
    with tts_cli.load(f"tests.sample_engines:{name}") as session:
        chunks = list(session.stream("Hello there. And again."))
        session.speak("Hello there. And again.", output=tmp_path / "x.wav")
    sound, written = soundfile.read(tmp_path / "x.wav")
    assert written == rate == chunks[0].sample_rate
    assert len(sound) == sum(len(chunk.samples) for chunk in chunks)
    loudest = np.abs(np.fft.rfft(sound)).argmax() * rate / len(sound)
    assert loudest == pytest.approx(220, abs=1)


def test_what_cannot_be_is_said_at_once() -> None:
    with tts_cli.load("builtin") as session:
        for wrong, says in (
            ({"voice": "bob"}, "no voice 'bob'"),
            ({"temperature": 0.5}, "choose --engine chatterbox"),
            ({"chunk": 0}, "chunk"),
            ({"no_such": 1}, "no engine here has it"),
        ):
            with pytest.raises(UsageError, match=says):
                session.stream("Hello.", **wrong)
            with pytest.raises(UsageError, match=says):
                session.speak("Hello.", **wrong)
        with pytest.raises(NothingToSayError):
            session.stream("...")
    with pytest.raises(UsageError, match="closed"):
        session.stream("Hello.")
    with pytest.raises(UsageError, match="closed"):
        session.start("Hello.", sink=NullSink())
    with pytest.raises(UsageError, match="no option --model-dir"):
        tts_cli.load("builtin", model_dir=Path())


def test_a_setting_is_not_an_option(tiny: Path, tmp_path: Path) -> None:
    with (
        tts_cli.load("chatterbox", model_dir=tiny, voices_dir=tmp_path, watermark=False) as session,
        pytest.raises(UsageError, match=r"give it to tts_cli\.load"),
    ):
        session.stream("Hello.", precision="fp32")


class Held(NullSink):
    """Takes a chunk when it is told to, and knows whether it was closed."""

    def __init__(self) -> None:
        self.taken: list[AudioChunk] = []
        self.allowed = threading.Semaphore(0)
        self.waiting = threading.Event()
        self.interrupted = threading.Event()
        self.closed = False

    def write(self, chunk: AudioChunk, needed: float) -> None:
        self.waiting.set()
        while not self.interrupted.is_set() and not self.allowed.acquire(timeout=0.01):
            pass
        self.taken.append(chunk)

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed = True


def test_closing_a_session_ends_what_is_running(tmp_path: Path) -> None:
    sinks = [Held() for _ in range(3)]
    with nothing_left(tmp_path), tts_cli.load(TONE) as session:
        running: list[Utterance] = [session.start("Hello there. " * 50, sink=sink) for sink in sinks]
        for sink in sinks:
            assert sink.waiting.wait(PATIENCE)
    assert all(utterance.state == "interrupted" for utterance in running)
    assert all(sink.closed for sink in sinks)


def test_skipping_in_a_sink_that_does_not_play_leaves_segments_out() -> None:
    sink = Held()
    with tts_cli.load(TONE) as session:
        utterance = session.start("One is here. Two is here. Three is here. Four is here.", sink=sink, chunk=5)
        assert sink.waiting.wait(PATIENCE)
        utterance.skip(2)
        for _ in range(1000):
            sink.allowed.release()
        utterance.result()
    first, *rest = [chunk.segment.number for chunk in sink.taken]
    assert first == 0
    assert sorted(set(rest)) == [2, 3]


def test_a_sink_that_does_not_play_is_given_nothing_while_paused() -> None:
    sink = Held()
    with tts_cli.load(TONE) as session:
        utterance = session.start("One is here. Two is here.", sink=sink, chunk=5)
        assert sink.waiting.wait(PATIENCE)
        utterance.pause()
        assert utterance.state == "paused"
        for _ in range(1000):
            sink.allowed.release()
        assert not utterance.wait(0.2)
        assert len(sink.taken) <= 1
        utterance.resume()
        utterance.result()
        expected = together(list(session.stream("One is here. Two is here.", chunk=5)))
    np.testing.assert_array_equal(together(sink.taken), expected)


def test_text_that_cannot_be_read_to_its_end_is_heard_up_to_there() -> None:
    def written() -> Iterator[str]:
        yield "One is here. "
        raise TextError("the rest is no text")

    with tts_cli.load(TONE) as session:
        chunks = session.stream(written())
        assert next(chunks).segment.text == "One is here."
        with pytest.raises(TextError):
            list(chunks)
