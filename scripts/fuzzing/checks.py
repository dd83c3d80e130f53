"""Checks for every case: the sound is valid, errors are messages for people, and nothing is left open."""

from __future__ import annotations

import gc
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from tts_cli.audio import AudioChunk
from tts_cli.errors import ModelError, SegmentError, TTSError, UnspokenError

LOUDEST: Final = 1.5
"""The largest absolute value of a sample."""
PATIENCE: Final = 60
"""Seconds after which a process or a thread that should have ended counts as hung."""


class FaultError(Exception):
    """A fault."""


def heard(chunks: Iterable[AudioChunk], take: int | None = None) -> float:
    """The length of sound in seconds, after a check of its samples.

    Parameters
    ----------
    chunks
        The sound.
    take
        How many chunks to hear; None for all.
    """
    seconds = 0.0
    for number, chunk in enumerate(chunks, start=1):
        check_samples(chunk.samples)
        seconds += chunk.seconds
        if number == take:
            break
    return seconds


def check_samples(samples: Any, loudest: float = LOUDEST) -> None:
    """Check that samples are float32, mono, finite and not too loud.

    Parameters
    ----------
    samples
        The sound.
    loudest
        The largest distance from zero that is allowed.
    """
    if samples.dtype != np.float32 or samples.ndim != 1:
        raise FaultError(f"samples are {samples.dtype} of shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise FaultError("a sample is not finite")
    if len(samples) and float(np.abs(samples).max()) > loudest:
        raise FaultError(f"a sample is {float(np.abs(samples).max()):.2f} from zero")


def check_file(file: Path) -> float:
    """Check that `file` can be read to its end. Return the length of its sound in seconds.

    Parameters
    ----------
    file
        A sound file.
    """
    import soundfile

    samples, rate = soundfile.read(file, dtype="float32")
    check_samples(samples)
    return len(samples) / float(rate)


def check_error(error: TTSError, *, intact: bool) -> None:
    """Check that an error has a message, and that no engine fails whose files are `intact`.

    Parameters
    ----------
    error
        What was raised.
    intact
        Whether the engine's files are undamaged.
    """
    if not str(error).strip():
        raise FaultError("an error that says nothing")
    first = error.failures[0] if isinstance(error, UnspokenError) else error
    if isinstance(first, SegmentError) or (intact and isinstance(first, ModelError)):
        raise FaultError(f"the engine failed: {error}") from first.__cause__


def check_left(folder: Path, expected: Iterable[Path]) -> None:
    """Check that the folder contains the expected files and no others.

    Parameters
    ----------
    folder
        The folder of the case.
    expected
        What must be there.
    """
    found, wanted = {*folder.iterdir()}, {*expected}
    if found != wanted:
        raise FaultError(f"left behind: {names(found - wanted)}; gone: {names(wanted - found)}")


def names(files: Iterable[Path]) -> str:
    return ", ".join(sorted(repr(file.name) for file in files)) or "none"


def judge(code: Any, stdout: bytes, stderr: bytes) -> str:
    """Check the exit code and the streams of a command. Return the code, unless it is 0.

    Parameters
    ----------
    code
        The exit code.
    stdout, stderr
        What the command wrote.
    """
    if code not in (0, 1, 2, 3):
        raise FaultError(f"exit code {code!r}; stderr: {stderr.decode(errors='replace')[-500:]}")
    if b"Traceback" in stderr or b"Traceback" in stdout:
        raise FaultError(f"a traceback on its streams: {stderr.decode(errors='replace')[-2000:]}")
    if re.search(rb"cannot speak ['\"]", stderr):
        raise FaultError(f"the engine failed: {stderr.decode(errors='replace')[-2000:]}")
    return f"exit {code}" if code else ""


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that the block leaves no thread, open file or temporary file."""
    threads, files = {*threading.enumerate()}, open_files()
    yield
    for thread in {*threading.enumerate()} - threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            raise FaultError(f"a thread goes on: {thread.name}")
    if len(open_files()) > len(files):
        gc.collect()  # objects in reference cycles may hold files
        if more := [each for each in open_files() if each not in files]:
            raise FaultError(f"open files: {', '.join(more)}")
    if left := [*Path(tempfile.gettempdir()).iterdir()]:
        raise FaultError(f"temporary files: {names(left)}")


def open_files() -> list[str]:
    """The process's open descriptors, and the files they refer to."""
    entries = [Path("/proc/self/fd", each) for each in os.listdir("/proc/self/fd")]  # noqa: PTH208  iterdir keeps one
    return [f"{entry.name} → {entry.readlink()}" for entry in entries if entry.exists() or entry.is_symlink()]
