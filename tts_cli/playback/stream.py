"""Writes sound to an open descriptor: standard output, a named pipe or a device file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import stat
import struct
import threading
from pathlib import Path
from typing import Final

from tts_cli.audio import AudioChunk, to_pcm16
from tts_cli.errors import OutputError
from tts_cli.playback import Sink, SinkStatus, cannot_write

UNKNOWN_LENGTH: Final = 0xFFFF_FFFF
"""The length in a WAV header when it is not known yet, as ffmpeg writes it. Players then read to the end."""
HEADER_BYTES: Final = 44
SAMPLE_BYTES: Final = 2
POLL_SECONDS: Final = 0.05
"""Seconds after which a wait for a reader looks whether it was interrupted. A wait for a pipe to be opened cannot be
woken, so all waits look."""


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
    """Open a named pipe or a device file, which a file must not replace. Waits for the reader of a pipe.

    Parameters
    ----------
    path
        The pipe or the device file.
    rate
        Samples a second.
    cancelled
        Ends the wait.

    Returns
    -------
    StreamSink or None
        None if `path` is a regular file, a directory or nothing.

    Raises
    ------
    OutputError
        If it cannot be opened, or the wait was cancelled.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # `FileSink` will say what is wrong
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    while (handle := _opened(path, mode)) is None:
        if cancelled.wait(POLL_SECONDS):
            raise OutputError(f"nobody reads {path}", "start its reader")
    return StreamSink(handle, str(path), rate, raw=False, owned=True)


def _opened(path: Path, mode: int) -> int | None:
    """A descriptor to write to; None if `path` is a named pipe that nobody reads yet."""
    try:
        # Without waiting, because nothing could end the wait.
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(mode):
            return None
        raise cannot_write(str(path), error) from error


class StreamSink(Sink):
    """Writes WAV or bare 16-bit PCM to a descriptor, each chunk at once.

    The sizes in the header are unknown while sound is written. In a regular file, `close` corrects them.

    Parameters
    ----------
    handle
        The descriptor.
    name
        What error messages call it.
    rate
        Samples a second.
    raw
        Whether to leave out the WAV header.
    owned
        Whether `close` closes the descriptor.
    """

    def __init__(self, handle: int, name: str, rate: int, raw: bool, owned: bool = False) -> None:
        self._handle = handle
        self._name = name
        self._rate = rate
        self._owned = owned
        self._header = b"" if raw else wav_header(rate)
        self._header_bytes = len(self._header)
        self._header_at: int | None = None
        self._sent = 0
        self._interrupted = threading.Event()
        self._using = threading.Lock()  # a descriptor must not be closed while another thread writes
        self._regular = stat.S_ISREG(os.fstat(handle).st_mode)
        self._poll = select.poll()
        self._poll.register(handle, select.POLLOUT)

    def write(self, chunk: AudioChunk, needed: float) -> None:  # noqa: ARG002
        """Write, and wait for the reader. Raises `OutputError` if the reader is gone or the disk is full."""
        self._send(self._header + to_pcm16(chunk.samples).tobytes())
        self._header = b""

    def finish(self) -> None:
        """Write the header if there was no sound, so that the result is always a WAV file."""
        self._send(self._header)

    def interrupt(self) -> None:
        """Write no more, and end a wait for the reader."""
        self._interrupted.set()

    def close(self) -> None:
        """Correct the header, and close an owned descriptor. Errors of writing were raised by `write` before."""
        with self._using:
            self._complete_header()
            if self._owned:
                self._owned = False
                with contextlib.suppress(OSError):
                    os.close(self._handle)

    def status(self) -> SinkStatus:
        """How much sound was written."""
        return SinkStatus(delivered=max(0, self._sent - self._header_bytes) / SAMPLE_BYTES / self._rate)

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            with self._using:
                if self._regular and not self._sent and self._header:
                    self._header_at = _position(self._handle)
                while rest and not self._interrupted.is_set():
                    written = self._write_some(rest)
                    rest = rest[written:]
                    self._sent += written
        except BrokenPipeError as error:
            raise OutputError(
                f"{self._name} was closed before all sound was written", "let its reader read to the end"
            ) from error
        except OSError as error:
            raise cannot_write(f"to {self._name}", error) from error

    def _write_some(self, data: memoryview) -> int:
        """Bytes written; 0 if there was no room for `POLL_SECONDS`."""
        if self._regular:
            return os.write(self._handle, data)
        # Other processes share standard output, so it must not be set to non-blocking. A pipe that has room takes
        # `PIPE_BUF` bytes without waiting (POSIX).
        if not self._poll.poll(POLL_SECONDS * 1000):
            return 0
        try:
            return os.write(self._handle, data[: select.PIPE_BUF])
        except BlockingIOError:  # another process has filled the pipe
            self._interrupted.wait(POLL_SECONDS)
            return 0

    def _complete_header(self) -> None:
        data = self._sent - self._header_bytes
        if self._header_at is None or not 0 <= data < UNKNOWN_LENGTH - 36:
            return
        with contextlib.suppress(OSError):  # the sizes then stay unknown, and players read to the end
            handle, own = self._handle, None
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
