"""The Python API: what it promises, and that it costs nothing to import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import tts_cli
from tests.harness import clean_environment
from tts_cli import TTSError, speak, stream
from tts_cli.audio import AudioChunk
from tts_cli.engines.builtin import SAMPLE_RATE
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.options import make
from tts_cli.errors import ModelError, NothingToSayError, SegmentError, UnspokenError, UsageError
from tts_cli.segment import Segment


def test_the_public_names_are_these() -> None:
    assert tts_cli.__all__ == [
        *("AudioChunk", "Session", "Snapshot", "TTSError", "Utterance"),
        *("__version__", "load", "speak", "stream"),
    ]
    for name in tts_cli.__all__:
        assert getattr(tts_cli, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        _ = tts_cli.no_such


def test_importing_loads_nothing() -> None:
    code = "import sys, tts_cli; print(any(name in sys.modules for name in ('numpy', 'torch', 'sounddevice', 'rich')))"
    assert subprocess.check_output([sys.executable, "-c", code], env=clean_environment()).strip() == b"False"


def test_streamed_equals_simple() -> None:
    text = "The first sentence. And the second one!"
    streamed = np.concatenate([chunk.samples for chunk in stream(text)])
    simple = np.concatenate([chunk.samples for chunk in stream(text, mode="simple", chunk=1000)])
    assert np.abs(streamed - simple).max() <= 1e-6


def test_a_stream_can_be_left_early() -> None:
    chunks = stream("One sentence. " * 20)
    assert next(chunks).sample_rate == SAMPLE_RATE
    chunks.close()
    assert list(chunks) == []


def test_errors_come_before_the_first_chunk() -> None:
    with pytest.raises(NothingToSayError):
        stream(" ")
    with pytest.raises(UsageError, match="bob"):
        stream("Hello.", voice="bob", engine="builtin")
    with pytest.raises(TTSError, match="nobody"):
        stream("Hello.", engine="nobody")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"chunk": -1}, "chunk cannot be -1; choose a whole number from 1 to 1000"),
        ({"chunk": 0}, "chunk"),
        ({"chunk": 1001}, "chunk"),
        ({"chunk": 2.5}, "chunk"),
        ({"chunk": "10"}, "chunk"),
        ({"chunk": True}, "chunk"),
        ({"chunk": 10**5000}, "chunk cannot be so long a value"),
        ({"seed": -1}, "seed cannot be -1"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"seed": None}, "seed"),
        ({"mode": "fast"}, "mode cannot be 'fast'; choose one of: streaming, simple"),
        ({"mode": None}, "mode"),
        ({"format": "html"}, "format cannot be 'html'; choose one of: auto, plain, markdown"),
        ({"code": None}, "code cannot be None; choose one of: skip, announce, speak"),
        ({"voice": 5}, "voice"),
        ({"engine": None}, "engine"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_the_call_itself(options: dict[str, Any], says: str) -> None:
    for call in (stream, speak):
        with pytest.raises(UsageError, match=re.escape(says)):
            call("Hi.", **{"engine": "builtin"} | options)


def test_markdown_is_spoken_as_the_text_that_it_shows(tmp_path: Path) -> None:
    def spoken(text: Any, **options: Any) -> list[str]:
        texts = [chunk.segment.text for chunk in stream(text, engine="builtin", **options)]
        return list(dict.fromkeys(texts))

    table, code = "|Ann|\n|-|\n|Bob|\n", "```sh\nls\n```"
    assert spoken(table, format="markdown") == spoken(iter(table), format="markdown") == ["Ann: Bob."]
    assert spoken("*Ann*") == spoken(iter("*Ann*")) == ["Ann"]
    assert spoken("*Ann*", format="plain") == ["*Ann*"]
    assert spoken(code, code="speak") == ["ls"]
    with tts_cli.load("builtin") as tts:
        tts.speak(table, output=tmp_path / "table.wav", format="markdown")
        tts.speak("Ann: Bob.", output=tmp_path / "plain.wav", format="plain")
    assert (tmp_path / "table.wav").read_bytes() == (tmp_path / "plain.wav").read_bytes()


@pytest.mark.parametrize("text", [5, None, b"Hi."])
def test_a_text_is_a_str(text: Any) -> None:
    for call in (stream, speak):
        with pytest.raises(UsageError, match="text cannot be"):
            call(text)


@pytest.mark.parametrize(
    "options",
    [
        {"pause": float("nan")},
        {"pause": -0.1},
        {"pause": float("inf")},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"top_p": 0.0},
        {"top_p": float("nan")},
        {"top_k": -1},
        {"repetition_penalty": float("-inf")},
        {"tokens": 0},
        {"strategy": 5},
        {"guard": "yes"},
    ],
)
def test_options_that_make_no_sense_cannot_be_made(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        make(ChatterboxOptions, options)


@pytest.mark.parametrize(
    "settings",
    [
        {"threads": 0},
        {"threads": 1.5},
        {"prompt_seconds": float("nan")},
        {"prompt_seconds": 0},
        {"voices_dir": "voices"},
        {"model": None},
        {"watermark": 1},
    ],
)
def test_settings_that_make_no_sense_cannot_be_made(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        make(ChatterboxSettings, settings)


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf])
def test_no_chunk_holds_a_sample_that_is_no_finite_number(sample: float) -> None:
    samples = np.zeros(960, np.float32)
    assert AudioChunk(samples.copy(), 24_000, Segment.of("Hello.")).seconds == pytest.approx(0.04)
    samples[700] = sample
    with pytest.raises(ModelError, match="not finite"):
        AudioChunk(samples, 24_000, Segment.of("Hello."))


def test_what_an_engine_computes_beyond_numbers_reaches_no_file(tmp_path: Path) -> None:
    with pytest.raises(TTSError, match="not finite"):
        speak("Hello there, world.", engine="tests.sample_engines:NanEngine", output=tmp_path / "x.wav")
    assert list(tmp_path.iterdir()) == []


def test_speaking_into_a_file(tmp_path: Path) -> None:
    run = speak("Hello there.", output=tmp_path / "hello.flac")
    sound, rate = soundfile.read(tmp_path / "hello.flac")
    assert rate == SAMPLE_RATE
    assert run.sound == pytest.approx(len(sound) / rate)
    assert run.ttfa is not None


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TTSError, match="fallen apart"):
        speak("Hello there.", engine="tests.sample_engines:BrokenEngine", output=tmp_path / "x.wav")
    assert list(tmp_path.iterdir()) == []


BAD = "One is good here.\nTwo is bad here.\nThree is good here.\n"


def test_a_text_that_an_engine_fails_on_is_told_after_the_rest(tmp_path: Path) -> None:
    with pytest.raises(UnspokenError, match=r"'Two is bad here\.': ValueError") as raised:
        speak(BAD, engine="tests.sample_engines:PickyEngine", output=tmp_path / "x.wav")
    assert [failure.text for failure in raised.value.failures] == ["Two is bad here."]
    assert isinstance(raised.value.failures[0].__cause__, ValueError)
    assert raised.value.exit_code == 1
    heard: list[float] = []
    chunks = stream(BAD, engine="tests.sample_engines:PickyEngine")
    with pytest.raises(UnspokenError):
        heard.extend(chunk.seconds for chunk in chunks)
    assert sum(heard) == pytest.approx(soundfile.info(tmp_path / "x.wav").duration)


def test_strict_ends_at_the_first_failure(tmp_path: Path) -> None:
    with pytest.raises(SegmentError, match="Two is bad"):
        speak(BAD, engine="tests.sample_engines:PickyEngine", output=tmp_path / "x.wav", strict=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SegmentError):
        list(stream(BAD, engine="tests.sample_engines:PickyEngine", strict=True))


def test_a_wrong_request_is_no_failure_of_a_text() -> None:
    with pytest.raises(UsageError, match="strategy"):
        list(stream(BAD, engine="tests.sample_engines:RefusingEngine"))


def test_speech_that_was_cut_short_is_told(tmp_path: Path) -> None:
    engine = "tests.sample_engines:CurtEngine"
    measured = speak("It is well. It is long.", engine=engine, output=tmp_path / "x.wav")
    assert measured.notices == ("'It is long.': that was\x1b[31m\ntoo much",)
    notices = [chunk.notice for chunk in stream("It is well. It is long.", engine=engine)]
    assert "that was\x1b[31m\ntoo much" in notices
    assert notices[0] == ""
