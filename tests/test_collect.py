"""Sound that is computed before the first chunk is given is the same sound, and a long one is not held in memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import TTS, complaint
from tts_cli.audio import AudioChunk
from tts_cli.collect import MOST_IN_MEMORY, collected
from tts_cli.errors import OutputError
from tts_cli.segment import Segment

SEGMENTS = [Segment.of("It rains.", 0), Segment.of("It pours.", 1)]


def numbered(count: int, length: int = 24_000) -> Iterator[AudioChunk]:
    """Chunks that are made when they are asked for; each sample is its chunk's number."""
    for number in range(count):
        yield AudioChunk(np.full(length, number, np.float32), 24_000, SEGMENTS[number % 2], notice=str(number))


@given(lengths=st.lists(st.integers(0, 900), max_size=30), in_memory=st.integers(1, 100_000))
def test_the_chunks_are_those_that_were_computed(lengths: list[int], in_memory: int) -> None:
    noise = np.random.default_rng(1)
    chunks = [AudioChunk(noise.random(n, np.float32), 24_000, SEGMENTS[n % 2], notice=str(n)) for n in lengths]
    given = list(collected(chunks, in_memory))
    assert [chunk.samples.tobytes() for chunk in given] == [chunk.samples.tobytes() for chunk in chunks]
    assert [(chunk.segment, chunk.notice, chunk.sample_rate) for chunk in given] == [
        (chunk.segment, chunk.notice, chunk.sample_rate) for chunk in chunks
    ]


def test_all_are_computed_before_the_first_is_given() -> None:
    computed = []

    def counted() -> Iterator[AudioChunk]:
        for chunk in numbered(5):
            computed.append(chunk)
            yield chunk

    with closing(collected(counted())) as chunks:
        next(chunks)
        assert len(computed) == 5


def test_memory_does_not_grow_with_the_sound() -> None:
    tracemalloc.start()
    try:
        seconds = 4 * MOST_IN_MEMORY // 96_000
        heard = sum(chunk.samples[0] for chunk in collected(numbered(seconds)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert heard == sum(range(seconds))
    assert peak < 2 * MOST_IN_MEMORY


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_listener_who_leaves_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def open_files() -> list[str]:
        return [
            target for each in Path("/proc/self/fd").iterdir() if str(tmp_path) in (target := os.path.realpath(each))
        ]

    chunks = collected(numbered(3), in_memory=1)
    next(chunks)
    assert len(open_files()) == 1
    assert not list(tmp_path.iterdir()), "it has no name"
    chunks.close()
    assert not open_files()


@pytest.mark.parametrize("length", [10, 24_000], ids=["buffered", "written at once"])
def test_where_no_more_can_be_written_that_is_the_error(length: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write a temporary file"):
            list(collected(numbered(500, length), in_memory=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_told_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("And so on and on it goes. " * 400)
    speak = [*TTS, "speak", "-f", "book.txt", "--engine", "tests.sample_engines:ToneEngine", "--mode", "simple"]
    command = ["sh", "-c", 'ulimit -f 2000; exec "$0" "$@"', *speak, "-o", "-", "--raw"]  # files of a megabyte at most
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert result.returncode == 1
    assert result.stdout == b""
    assert "cannot write a temporary file for the sound: File too large; free some space" in complaint(result)
