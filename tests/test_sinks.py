"""Files and streams: whole or not there, in every format, and honest about a full disk."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from harness import clean_environment
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.audio import to_pcm16
from tts_cli.errors import OutputError, UsageError
from tts_cli.sinks import BothSinks
from tts_cli.sinks.file import FORMATS, FileSink
from tts_cli.sinks.stream import StreamSink, wav_header

TONE = (0.5 * np.sin(np.arange(48_000) * 2 * np.pi * 220 / 24_000)).astype(np.float32)


def write(sink: FileSink) -> None:
    for start in range(0, len(TONE), 5000):
        sink.write(TONE[start : start + 5000], 0.0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("ending", ["finish", "interrupt"])
def test_every_format_reads_back(tmp_path: Path, suffix: str, ending: str) -> None:
    path = tmp_path / f"tone{suffix}"
    sink = FileSink(path)
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
    sink = FileSink(path)
    write(sink)
    sink.close()
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    code = (
        "import resource, signal, sys, numpy as np; from pathlib import Path; from tts_cli.sinks.file import FileSink;"
        "from tts_cli.errors import OutputError; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        f"path = Path({str(tmp_path)!r}) / 'tone{suffix}'; sink = FileSink(path)\n"
        "noise = np.random.default_rng(0).uniform(-1, 1, 24_000).astype(np.float32)\n"
        "try:\n"
        "    [sink.write(noise, 0.0) for _ in range(60)]; sink.finish()\n"
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
            FileSink(path)
    folder = tmp_path / "folder.wav"
    folder.mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        FileSink(folder)


def test_a_streamed_wav_is_a_wav() -> None:
    buffer = io.BytesIO()
    sink = StreamSink(buffer, "here", raw=False)
    sink.write(TONE[:1000], 0.0)
    assert len(buffer.getvalue()) == 44 + 2000
    sink.write(TONE[1000:], 0.0)
    sink.finish()
    data = buffer.getvalue()
    assert data.startswith(wav_header(24_000))
    heard, rate = soundfile.read(io.BytesIO(data))
    assert rate == 24_000
    assert np.abs(heard - TONE).max() < 1e-4


def test_raw_is_pcm_and_nothing_else() -> None:
    buffer = io.BytesIO()
    sink = StreamSink(buffer, "here", raw=True)
    sink.write(TONE, 0.0)
    sink.finish()
    assert buffer.getvalue() == to_pcm16(TONE).tobytes()


@given(st.lists(st.floats(-3, 3, width=32), max_size=50))
def test_pcm_clips_and_never_wraps(values: list[float]) -> None:
    pcm = to_pcm16(np.array(values, np.float32)) / 32767
    assert np.abs(pcm - np.clip(values, -1, 1)).max(initial=0) <= 0.5 / 32767 + 1e-6


def test_a_stream_that_breaks_is_an_output_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(OutputError, match="No space left"):
        StreamSink(full, "/dev/full", raw=False).write(TONE, 0.0)


def test_both_sinks_get_the_same(tmp_path: Path) -> None:
    one, two = io.BytesIO(), io.BytesIO()
    both = BothSinks(StreamSink(one, "one", raw=True), StreamSink(two, "two", raw=True))
    both.write(TONE, 0.0)
    both.finish()
    both.close()
    assert one.getvalue() == two.getvalue() == to_pcm16(TONE).tobytes()
