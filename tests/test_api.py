"""The Python API: what it promises, and that it costs nothing to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from harness import clean_environment

import tts_cli
from tts_cli import TTSError, speak, stream
from tts_cli.audio import SAMPLE_RATE
from tts_cli.errors import NothingToSayError, UsageError


def test_the_public_names_are_these() -> None:
    assert tts_cli.__all__ == ["AudioChunk", "Snapshot", "TTSError", "__version__", "speak", "stream"]
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
    chunks.close()  # type: ignore[attr-defined]
    assert list(chunks) == []


def test_errors_come_before_the_first_chunk() -> None:
    with pytest.raises(NothingToSayError):
        stream(" ")
    with pytest.raises(UsageError, match="bob"):
        stream("Hello.", voice="bob", engine="builtin")
    with pytest.raises(TTSError, match="nobody"):
        stream("Hello.", engine="nobody")


def test_speaking_into_a_file(tmp_path: Path) -> None:
    run = speak("Hello there.", output=tmp_path / "hello.flac")
    sound, rate = soundfile.read(tmp_path / "hello.flac")
    assert rate == SAMPLE_RATE
    assert run.sound == pytest.approx(len(sound) / rate)
    assert run.ttfa is not None


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TTSError, match="fallen apart"):
        speak("Hello there.", engine="engines_for_tests:BrokenEngine", output=tmp_path / "x.wav")
    assert list(tmp_path.iterdir()) == []
