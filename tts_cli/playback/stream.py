"""Writes sound to an open descriptor: standard output, a named pipe or a device file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
from pathlib import Path
from typing import Final

from tts_cli.audio import AudioChunk, to_pcm16
from tts_cli.playback import Sink, SinkStatus
from tts_cli.playback.outlet import Outlet, open_outlet

UNKNOWN_LENGTH: Final = 0xFFFF_FFFF
"""The length in a WAV header when it is not known yet, as ffmpeg writes it. Players then read to the end."""
SAMPLE_BYTES: Final = 2


def wav_header(rate: int, data: int = UNKNOWN_LENGTH - 36) -> bytes:
    """A 44-byte RIFF header for 16-bit mono PCM.

    Parameters
    ----------
    rate
        Samples a second.
    data
        Bytes of PCM after the header; by default, the value for an unknown length.
    """
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", data + 36, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES),
        *(b"data", data),
    )


def open_stream(path: Path, rate: int, cancelled: threading.Event) -> StreamSink | None:
    """Open a sink for a named pipe or a device file.

    Parameters
    ----------
    path, cancelled
        As for `open_outlet`.
    rate
        Samples a second.

    Returns
    -------
    StreamSink or None
        None if `path` is anything else.

    Raises
    ------
    OutputError
        If it cannot be opened, or the wait for the reader of a pipe was cancelled.
    """
    outlet = open_outlet(path, cancelled)
    return None if outlet is None else StreamSink(outlet, rate, raw=False)


class StreamSink(Sink):
    """Writes WAV or bare 16-bit PCM to a descriptor, each chunk at once.

    The sizes in the header are unknown while sound is written. In a regular file, `close` corrects them.

    Parameters
    ----------
    outlet
        Where the bytes go. `close` closes it.
    rate
        Samples a second.
    raw
        Whether to leave out the WAV header.
    """

    def __init__(self, outlet: Outlet, rate: int, raw: bool) -> None:
        self._outlet = outlet
        self._rate = rate
        self._header = b"" if raw else wav_header(rate)
        self._header_bytes = len(self._header)
        self._header_at: int | None = None

    def write(self, chunk: AudioChunk, needed: float) -> None:  # noqa: ARG002
        """Write, and wait for the reader. Raises `OutputError` if the reader is gone or the disk is full."""
        self._send(self._header + to_pcm16(chunk.samples).tobytes())
        self._header = b""

    def finish(self) -> None:
        """Write the header if there was no sound, so that the result is always a WAV file."""
        self._send(self._header)

    def interrupt(self) -> None:
        """Write no more, and end a wait for the reader."""
        self._outlet.interrupt()

    def close(self) -> None:
        """Correct the header, and close the outlet. Errors of writing were raised by `write` before."""
        with self._outlet.using:
            self._complete_header()
            self._outlet.close()

    def status(self) -> SinkStatus:
        """How much sound was written."""
        return SinkStatus(delivered=max(0, self._outlet.sent - self._header_bytes) / SAMPLE_BYTES / self._rate)

    def _send(self, data: bytes) -> None:
        with self._outlet.using:
            if self._outlet.regular and not self._outlet.sent and self._header:
                self._header_at = _position(self._outlet.handle)
            self._outlet.send(data)

    def _complete_header(self) -> None:
        data = self._outlet.sent - self._header_bytes
        if self._header_at is None or not 0 <= data < UNKNOWN_LENGTH - 36:
            return
        with contextlib.suppress(OSError):  # the sizes then stay unknown, and players read to the end
            handle, own = self._outlet.handle, None
            if _appends(handle):  # on Linux `pwrite` appends, too, unless the file is opened again
                handle = own = os.open(f"/dev/fd/{handle}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                if not _appends(handle):  # on macOS, opening it again does not help
                    os.pwrite(handle, wav_header(self._rate, data), self._header_at)
            finally:
                if own is not None:
                    os.close(own)


def _appends(handle: int) -> bool:
    return bool(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND)


def _position(handle: int) -> int:
    """The offset of the next byte in a regular file."""
    return os.fstat(handle).st_size if _appends(handle) else os.lseek(handle, 0, os.SEEK_CUR)
