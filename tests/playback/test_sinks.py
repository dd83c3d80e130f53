"""What all sinks have: their rate, what they have delivered, and the samples that they write."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.playback.written import TONE, chunk, piped
from tts_cli.audio import AudioChunk, to_pcm16
from tts_cli.playback import BothSinks, cannot_write
from tts_cli.playback.file import FileSink
from tts_cli.playback.outlet import Outlet
from tts_cli.playback.stream import StreamSink, open_stream, wav_header
from tts_cli.segment import Segment


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


@given(st.lists(st.floats(-3, 3, width=32), max_size=50))
def test_pcm_clips_and_never_wraps(values: list[float]) -> None:
    pcm = to_pcm16(np.array(values, np.float32)) / 32767
    assert np.abs(pcm - np.clip(values, -1, 1)).max(initial=0) <= 0.5 / 32767 + 1e-6


def test_space_is_asked_for_only_where_it_is_missing() -> None:
    assert "space" in str(cannot_write("x", OSError(errno.EDQUOT, "Disk quota exceeded")))
    assert "space" not in str(cannot_write("x", OSError(errno.EACCES, "Permission denied")))


def test_both_sinks_get_the_same(tmp_path: Path) -> None:
    with piped(raw=True) as (one, read_one), piped(raw=True) as (two, read_two):
        both = BothSinks(one, two)
        both.write(chunk(TONE[:20_000]), 0.0)
        both.finish()
        both.close()
        assert read_one(40_000) == read_two(40_000) == to_pcm16(TONE[:20_000]).tobytes()
