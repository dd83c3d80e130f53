"""Files and streams: whole or not there, in every format, and honest about a full disk."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import PATIENCE, clean_environment
from tts_cli.audio import AudioChunk, Samples, to_pcm16
from tts_cli.errors import OutputError, UsageError
from tts_cli.playback import BothSinks, cannot_write
from tts_cli.playback.file import FORMATS, FileSink
from tts_cli.playback.outlet import Outlet
from tts_cli.playback.stream import StreamSink, open_stream, wav_header
from tts_cli.segment import Segment

TONE = (0.5 * np.sin(np.arange(48_000) * 2 * np.pi * 220 / 24_000)).astype(np.float32)


@contextmanager
def piped(raw: bool = False) -> Iterator[tuple[StreamSink, Callable[[int], bytes]]]:
    """A sink into a pipe, and what reads so many bytes of it, or what there is after it was closed."""
    ours, theirs = os.pipe()
    sink = StreamSink(Outlet(theirs, "here", owned=True), 24_000, raw)

    def read(size: int) -> bytes:
        data = b""
        while len(data) < size and (more := os.read(ours, size - len(data))):
            data += more
        return data

    try:
        yield sink, read
    finally:
        sink.interrupt()
        sink.close()
        os.close(ours)


def chunk(samples: Samples) -> AudioChunk:
    return AudioChunk(samples, 24_000, Segment.of("Hello."))


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


def test_a_sink_knows_what_it_has_delivered(tmp_path: Path) -> None:
    file = FileSink(tmp_path / "tone.flac", 24_000)
    with piped() as (stream, _):
        both = BothSinks(file, stream)
        assert both.status().delivered == 0.0
        both.write(chunk(TONE[:12_000]), 0.0)
        assert file.status().delivered == stream.status().delivered == both.status().delivered == 0.5
        both.close()


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_sink_of_another_rate_says_its_rate_and_its_length(rate: int, tmp_path: Path) -> None:
    second = AudioChunk(np.full(rate, 0.5, np.float32), rate, Segment.of("Hello."))
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "streamed.wav").open("wb") as file, ThreadPoolExecutor(1) as reader:
        reading = reader.submit((tmp_path / "pipe").read_bytes)
        pipe = open_stream(tmp_path / "pipe", rate, threading.Event())
        assert pipe is not None
        streamed = StreamSink(Outlet(file.fileno(), "here"), rate, raw=False)
        delivered = []
        for sink in (FileSink(tmp_path / "written.wav", rate), streamed, pipe):
            with closing(sink):
                sink.write(second, 0.0)
                delivered.append(sink.status().delivered)
                sink.finish()
    assert delivered == [1.0, 1.0, 1.0]
    assert reading.result() == wav_header(rate) + to_pcm16(second.samples).tobytes()
    for name in ("written.wav", "streamed.wav"):
        found = soundfile.info(tmp_path / name)
        assert (found.samplerate, found.duration, found.channels) == (rate, 1.0, 1)
        header = (tmp_path / name).read_bytes()[:44]
        riff, bytes_per_second, data = (int.from_bytes(header[at : at + 4], "little") for at in (4, 28, 40))
        assert (riff, bytes_per_second, data) == (2 * rate + 36, 2 * rate, 2 * rate)


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


def test_a_streamed_wav_is_a_wav() -> None:
    with piped() as (sink, read):
        sink.write(chunk(TONE[:1000]), 0.0)
        assert len(read(44 + 2000)) == 44 + 2000
    with piped() as (sink, read):
        sink.write(chunk(TONE[:1000]), 0.0)
        sink.write(chunk(TONE[1000:20_000]), 0.0)
        sink.finish()
        data = read(44 + 40_000)
    assert data.startswith(wav_header(24_000))
    heard, rate = soundfile.read(io.BytesIO(data))
    assert rate == 24_000
    assert np.abs(heard - TONE[:20_000]).max() < 1e-4


def test_raw_is_pcm_and_nothing_else() -> None:
    with piped(raw=True) as (sink, read):
        sink.write(chunk(TONE[:20_000]), 0.0)
        sink.finish()
        sink.close()
        assert read(40_001) == to_pcm16(TONE[:20_000]).tobytes()


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
@pytest.mark.parametrize("before", [b"", b"RIFF, but no sound"])
@pytest.mark.parametrize("ending", ["finish", "interrupt"])
def test_a_wav_into_an_open_file_says_its_sizes(tmp_path: Path, flags: int, before: bytes, ending: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(before)
    handle = os.open(path, os.O_WRONLY | flags)
    os.lseek(handle, 0 if flags else len(before), os.SEEK_SET)  # where a shell's >> leaves it
    sink = StreamSink(Outlet(handle, "here"), 24_000, raw=False)
    sink.write(chunk(TONE[:1000]), 0.0)
    sink.write(chunk(TONE[1000:3000]), 0.0)
    getattr(sink, ending)()
    sink.close()
    os.write(handle, b"what others write after it")
    os.close(handle)
    data = path.read_bytes()
    assert data.startswith(before)
    assert data.endswith(b"what others write after it")
    wav = data[len(before) :]
    assert wav[:44] == wav_header(24_000, 6000)
    assert wav[44:6044] == to_pcm16(TONE[:3000]).tobytes()
    (tmp_path / "cut").write_bytes(wav)
    assert soundfile.info(tmp_path / "cut").frames == 3000


@given(st.lists(st.floats(-3, 3, width=32), max_size=50))
def test_pcm_clips_and_never_wraps(values: list[float]) -> None:
    pcm = to_pcm16(np.array(values, np.float32)) / 32767
    assert np.abs(pcm - np.clip(values, -1, 1)).max(initial=0) <= 0.5 / 32767 + 1e-6


def test_a_stream_that_breaks_is_an_output_error() -> None:
    sink = open_stream(Path("/dev/full"), 24_000, threading.Event())
    assert sink is not None
    with closing(sink), pytest.raises(OutputError, match=r"No space left.*free some space"):
        sink.write(chunk(TONE), 0.0)


def test_space_is_asked_for_only_where_it_is_missing() -> None:
    assert "space" in str(cannot_write("x", OSError(errno.EDQUOT, "Disk quota exceeded")))
    assert "space" not in str(cannot_write("x", OSError(errno.EACCES, "Permission denied")))


def test_a_reader_that_stalls_holds_the_sound_up_and_an_interruption_ends_that() -> None:
    with piped() as (sink, read):

        def write_ten() -> None:
            for _ in range(10):
                sink.write(chunk(TONE), 0.0)

        writer = threading.Thread(target=write_ten)
        writer.start()
        first = read(44 + 2 * 48_000)
        assert len(first) == 44 + 2 * 48_000
        assert writer.is_alive()
        sink.interrupt()
        writer.join(PATIENCE)
        assert not writer.is_alive()
        assert 1.0 <= sink.status().delivered < 10.0


def test_a_pipe_that_nobody_reads_is_waited_for_until_that_is_called_off(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as opener:
        waiting = opener.submit(open_stream, tmp_path / "fifo", 24_000, cancelled)
        cancelled.set()
        with pytest.raises(OutputError, match="nobody reads"):
            waiting.result(PATIENCE)
        waiting = opener.submit(open_stream, tmp_path / "fifo", 24_000, threading.Event())
        with (tmp_path / "fifo").open("rb") as reader:
            sink = waiting.result(PATIENCE)
            assert sink is not None
            sink.write(chunk(TONE[:1000]), 0.0)
            sink.close()
            assert len(reader.read()) == 44 + 2000


def test_standard_output_stays_as_other_processes_share_it() -> None:
    with piped() as (sink, _):
        sink.write(chunk(TONE[:1000]), 0.0)
        assert os.get_blocking(sink._outlet.handle)


def test_both_sinks_get_the_same(tmp_path: Path) -> None:
    with piped(raw=True) as (one, read_one), piped(raw=True) as (two, read_two):
        both = BothSinks(one, two)
        both.write(chunk(TONE[:20_000]), 0.0)
        both.finish()
        both.close()
        assert read_one(40_000) == read_two(40_000) == to_pcm16(TONE[:20_000]).tobytes()
