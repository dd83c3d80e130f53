"""All sound of an utterance, computed before the first chunk is given: a long one waits in a temporary file."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, suppress
from tempfile import SpooledTemporaryFile
from typing import Final

from tts_cli.audio import AudioChunk
from tts_cli.errors import OutputError
from tts_cli.paths import explained

MOST_IN_MEMORY: Final = 32_000_000
"""Bytes. At 24 kHz, 333 s of sound."""


def collected(chunks: Iterable[AudioChunk], in_memory: int = MOST_IN_MEMORY) -> Generator[AudioChunk, None, None]:
    """Take all chunks, and then give them, one after the other.

    Parameters
    ----------
    chunks
        The chunks.
    in_memory
        How many bytes of them may be in memory. If there are more, all are written into a file in the system's folder
        for temporary files (`TMPDIR`). It has no name, so nothing is left of it when this generator is closed or the
        process is killed.

    Yields
    ------
    AudioChunk
        Equal to those that were taken.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from tts_cli.segment import Segment
    >>> chunk = AudioChunk(np.zeros(960, np.float32), 24_000, Segment.of("Hi."))
    >>> [each.segment.text for each in collected([chunk, chunk])]
    ['Hi.', 'Hi.']
    """
    count = 0
    file = SpooledTemporaryFile(in_memory)  # noqa: SIM115  closing it may fail
    try:
        for chunk in chunks:
            with _writing():
                pickle.dump(chunk, file, pickle.HIGHEST_PROTOCOL)
            count += 1
        with _writing():
            file.seek(0)
        for _ in range(count):
            yield pickle.load(file)
    finally:
        with suppress(OSError):  # what could not be written cannot be written now
            file.close()


def _writing() -> AbstractContextManager[None]:
    remedy = "free some space, or let TMPDIR name a folder that has more"
    return explained("write", "a temporary file for the sound", remedy, OutputError)
