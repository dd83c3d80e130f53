"""Pipes and standard output: sound in order, a WAV header that is true, and waits that end."""

from __future__ import annotations

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.harness import PATIENCE
from tests.playback.written import TONE, chunk, piped
from tts_cli.audio import to_pcm16
from tts_cli.errors import OutputError
from tts_cli.playback.outlet import Outlet
from tts_cli.playback.stream import StreamSink, open_stream, wav_header


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


def test_a_stream_that_breaks_is_an_output_error() -> None:
    sink = open_stream(Path("/dev/full"), 24_000, threading.Event())
    assert sink is not None
    with closing(sink), pytest.raises(OutputError, match=r"No space left.*free some space"):
        sink.write(chunk(TONE), 0.0)


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
