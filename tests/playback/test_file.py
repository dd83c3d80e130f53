"""Files: whole or not there, in every format, and honest about a full disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.harness import clean_environment
from tests.playback.written import TONE, chunk
from tts_cli.errors import OutputError, UsageError
from tts_cli.playback.file import FORMATS, FileSink


def write(sink: FileSink) -> None:
    for start in range(0, len(TONE), 5000):
        sink.write(chunk(TONE[start : start + 5000]), 0.0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("ending", ["finish", "interrupt"])
def test_every_format_reads_back(tmp_path: Path, suffix: str, ending: str) -> None:
    path = tmp_path / f"tone{suffix}"
    sink = FileSink(path, 24_000)
    write(sink)
    assert not path.exists()
    getattr(sink, ending)()
    sink.close()
    heard, rate = soundfile.read(path)
    assert rate == 24_000
    lossy = suffix in (".mp3", ".ogg")
    assert abs(len(heard) - len(TONE)) <= (2400 if lossy else 0)
    assert abs(np.sqrt(np.mean(heard**2)) - 0.354) < 0.02
    if not lossy:
        assert np.abs(heard - TONE).max() < 1e-4
    assert list(tmp_path.iterdir()) == [path]


def test_an_unfinished_file_leaves_no_trace_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(b"precious")
    sink = FileSink(path, 24_000)
    write(sink)
    sink.close()
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("ending", ["finish", "interrupt"])
def test_only_sound_replaces_a_file(tmp_path: Path, suffix: str, ending: str) -> None:
    path = tmp_path / f"tone{suffix}"
    path.write_bytes(b"precious")
    sink = FileSink(path, 24_000)
    sink.write(chunk(TONE[:0]), 0.0)
    getattr(sink, ending)()
    sink.close()
    assert path.read_bytes() == b"precious"
    sink = FileSink(path, 24_000)
    sink.write(chunk(TONE[:1]), 0.0)
    getattr(sink, ending)()
    sink.close()
    heard, _ = soundfile.read(path)
    assert len(heard) >= 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    code = (
        "import resource, signal, sys, numpy as np; from pathlib import Path;"
        "from tts_cli.playback.file import FileSink;"
        "from tts_cli.audio import AudioChunk; from tts_cli.segment import Segment;"
        "from tts_cli.errors import OutputError; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        f"path = Path({str(tmp_path)!r}) / 'tone{suffix}'; sink = FileSink(path, 24_000)\n"
        "noise = np.random.default_rng(0).uniform(-1, 1, 24_000).astype(np.float32)\n"
        "try:\n"
        "    [sink.write(AudioChunk(noise, 24_000, Segment.of('Hello.')), 0.0) for _ in range(60)]; sink.finish()\n"
        "except OutputError as error:\n"
        "    print(error)\n"
        "finally:\n"
        "    sink.close()\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    assert "cannot write" in result.stdout
    assert "tone" + suffix in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_bad_targets_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for path, complaint in (
        (tmp_path / "tone.xyz", "sound format"),
        (tmp_path / "tone", "sound format"),
        (tmp_path / "no" / "tone.wav", "no directory"),
    ):
        with pytest.raises(UsageError, match=complaint):
            FileSink(path, 24_000)
    folder = tmp_path / "folder.wav"
    folder.mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        FileSink(folder, 24_000)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="null character"):
        FileSink(tmp_path / "a\0b.wav", 24_000)
