"""The built-in voice: equal to its library, in blocks; trimmed; offline."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.given import Given
from tests.harness import clean_environment
from tts_cli import load
from tts_cli.audio import AUDIBLE, Samples, first_audible
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.engines.builtin import SAMPLE_RATE
from tts_cli.engines.builtin.blocks import trim_silence
from tts_cli.engines.builtin.engine import BuiltinEngine, decode_blocks, split_phonemes
from tts_cli.errors import NothingToSayError, UsageError
from tts_cli.segment import MAX_CHARS, Ending, Segment

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it rests."


@pytest.fixture(scope="module")
def engine() -> BuiltinEngine:
    return BuiltinEngine(EngineSettings())


@pytest.fixture(scope="module")
def hibari() -> Any:
    """The voice's library, with the model as it is published."""
    from hibari import Hibari

    return Hibari()


def spoken(engine: BuiltinEngine, text: str, **options: object) -> Samples:
    chunks = list(engine.stream(Given(text), "heart", SpeakOptions(**options)))  # type: ignore[arg-type]
    return np.concatenate([chunk.samples for chunk in chunks]) if chunks else np.zeros(0, np.float32)


@pytest.mark.parametrize("text", ["Hi.", SENTENCE])
@pytest.mark.parametrize("length", [1, 300, 960, 9600, 10**7])
def test_blocks_equal_the_library(engine: BuiltinEngine, hibari: Any, text: str, length: int) -> None:
    phonemes = hibari.g2p(text)
    whole = hibari.from_phonemes(phonemes, seed=7)
    spectra, _ = engine._spectra(phonemes, 1.0)
    blocks = list(decode_blocks(spectra, np.random.default_rng(7), length))
    assert np.abs(np.concatenate(blocks) - whole).max() <= 1e-6
    assert len(blocks) >= len(whole) // (length + 300) - 1


@settings(max_examples=20)
@given(chunk=st.integers(1, 60))
def test_streamed_equals_whole_whatever_the_chunk(engine: BuiltinEngine, chunk: int) -> None:
    whole = spoken(engine, SENTENCE, chunk=1000)
    chunks = list(engine.stream(Given(SENTENCE), "heart", SpeakOptions(chunk=chunk)))
    assert all(len(part.samples) == chunk * 960 for part in chunks[:-1])
    streamed = np.concatenate([part.samples for part in chunks])
    assert streamed.shape == whole.shape
    assert np.abs(streamed - whole).max() <= 1e-6


def test_speech_starts_at_once_and_ends_with_the_pause(engine: BuiltinEngine) -> None:
    for pause in (0.0, 0.35, 1.0):
        sound = spoken(engine, "Hello there.", pause=pause)
        start = first_audible(sound)
        assert start is not None
        assert start <= SAMPLE_RATE // 50
        last = int(np.flatnonzero(np.abs(sound) >= AUDIBLE)[-1])
        assert len(sound) - 1 - last == round(pause * SAMPLE_RATE)


def test_what_goes_on_gets_a_shorter_pause(engine: BuiltinEngine) -> None:
    def silence_after(ending: Ending) -> int:
        segment = Segment.of("Hello there", ending=ending)
        sound = np.concatenate(
            [part.samples for part in engine.stream(Given(segment), "heart", SpeakOptions(pause=1.0))]
        )
        return len(sound) - int(np.flatnonzero(np.abs(sound) >= AUDIBLE)[-1])

    assert silence_after("cut") < silence_after("clause") < silence_after("sentence") / 2
    assert silence_after("line") == silence_after("sentence")


def test_silence_inside_is_kept() -> None:
    loud, quiet = np.full(1000, 0.5, np.float32), np.zeros(3000, np.float32)
    blocks = [quiet, loud, quiet, quiet, loud, quiet]
    trimmed = np.concatenate(list(trim_silence(blocks, pause=0.0)))
    inside = np.concatenate([loud, quiet, quiet, loud])
    assert np.array_equal(trimmed[-len(inside) :], inside)
    assert (trimmed[: -len(inside)] == 0).all()


def test_pure_silence_gives_nothing() -> None:
    assert list(trim_silence([np.zeros(5000, np.float32)] * 3, pause=0.5)) == []


def test_the_same_seed_gives_the_same_sound(engine: BuiltinEngine) -> None:
    assert np.array_equal(spoken(engine, "Hello.", seed=3), spoken(engine, "Hello.", seed=3))
    assert not np.array_equal(spoken(engine, "Hello.", seed=3), spoken(engine, "Hello.", seed=4))


def test_a_repeated_sentence_is_not_the_same_take(engine: BuiltinEngine) -> None:
    takes = [
        np.concatenate(
            [chunk.samples for chunk in engine.stream(Given(Segment.of("Hello.", number)), "heart", SpeakOptions())]
        )
        for number in (0, 1, 1)
    ]
    assert np.array_equal(takes[1], takes[2])
    assert not np.array_equal(takes[0], takes[1])


def test_a_tag_that_another_engine_acts_out_is_not_read_out() -> None:
    with load("builtin") as tts:

        def sound(text: str) -> Samples:
            return np.concatenate([chunk.samples for chunk in tts.stream(text)])

        assert np.array_equal(sound("Well [laugh] then."), sound("Well   then."))
        assert len(sound("[note]")) > 0
        with pytest.raises(NothingToSayError):
            sound("[laugh]")


def test_speed_is_the_models_own(engine: BuiltinEngine) -> None:
    slow, even, fast = (len(spoken(engine, SENTENCE, speed=speed, pause=0.0)) for speed in (0.5, 1.0, 2.0))
    assert slow > 1.5 * even
    assert fast < 0.7 * even


@pytest.mark.parametrize(
    "text", ["9876543210 " * 27, "a" * MAX_CHARS, "W" * MAX_CHARS, "日本語のテキスト", "привет мир"]
)
def test_text_that_the_model_was_not_made_for_is_still_bounded(engine: BuiltinEngine, text: str) -> None:
    assert len(spoken(engine, text[:MAX_CHARS])) < 240 * SAMPLE_RATE


@settings(max_examples=50)
@given(text=st.text("0123456789'.,:;$%-/ thVⅧ²e+", max_size=80))
@example(text="8575155355035501213269'65297807230193457th old.")
def test_no_digits_and_marks_are_too_much(engine: BuiltinEngine, text: str) -> None:
    assert isinstance(engine.phonemes(text), str)


@given(st.text("abc ,.;", max_size=300), st.integers(1, 50))
def test_long_phonemes_are_cut_and_none_is_lost(phonemes: str, limit: int) -> None:
    parts = split_phonemes(phonemes, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join(parts).replace(" ", "") == phonemes.replace(" ", "")


def test_it_has_one_voice(engine: BuiltinEngine) -> None:
    with pytest.raises(UsageError, match="bob"):
        engine.stream(Given("Hello."), "bob", SpeakOptions())


def test_nothing_touches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(spoken(BuiltinEngine(EngineSettings()), "Hello.")) > 0


def test_no_library_leaves_a_trace_of_its_own_or_counts_this_machine(tmp_path: Path) -> None:
    folders = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(tmp_path))
    code = "from tts_cli import stream; list(stream('Hello.', engine='builtin'))"
    subprocess.run([sys.executable, "-c", code], env=clean_environment() | folders, check=True)
    assert list(tmp_path.iterdir()) == []


def test_speaking_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tts_cli import stream; list(stream('Hello.', engine='builtin'));"
        "print([name for name in ('torch', 'chatterbox', 'sounddevice', 'transformers') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], env=clean_environment()).strip() == b"[]"


def test_decode_blocks_gives_a_hop_for_every_frame() -> None:
    rng = np.random.default_rng(0)
    spectra = [rng.standard_normal((601, 9), dtype=np.float32) for _ in range(5)]
    f0 = np.full(9, 150.0, np.float32)
    blocks = list(decode_blocks([*spectra, f0], rng, 700))
    assert sum(map(len, blocks)) == 9 * 300
