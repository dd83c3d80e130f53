"""An open descriptor that bytes are written to: standard output, a named pipe or a device file.

Every wait for a reader ends when the outlet is interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import threading
from pathlib import Path
from typing import Final

from tts_cli.errors import OutputError
from tts_cli.playback import cannot_write

POLL_SECONDS: Final = 0.05
"""Seconds after which a wait for a reader looks whether it was interrupted. A wait for a pipe to be opened cannot be
woken, so all waits look."""


def open_outlet(path: Path, cancelled: threading.Event) -> Outlet | None:
    """Open a named pipe or a device file, which a file must not replace. Waits for the reader of a pipe.

    Parameters
    ----------
    path
        The pipe or the device file.
    cancelled
        Ends the wait.

    Returns
    -------
    Outlet or None
        None if `path` is a regular file, a directory or nothing.

    Raises
    ------
    OutputError
        If it cannot be opened, or the wait was cancelled.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # whoever makes the file will say what is wrong
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    while (handle := _opened(path, mode)) is None:
        if cancelled.wait(POLL_SECONDS):
            raise OutputError(f"nobody reads {path}", "start its reader")
    return Outlet(handle, str(path), owned=True)


def _opened(path: Path, mode: int) -> int | None:
    """A descriptor to write to; None if `path` is a named pipe that nobody reads yet."""
    try:
        # Without waiting, because nothing could end the wait.
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(mode):
            return None
        raise cannot_write(str(path), error) from error


class Outlet:
    """Writes bytes to a descriptor, and waits for room.

    Parameters
    ----------
    handle
        The descriptor.
    name
        What error messages call it.
    owned
        Whether `close` closes the descriptor.

    Attributes
    ----------
    regular : bool
        Whether it leads to a regular file.
    sent : int
        How many bytes were written.
    using : threading.RLock
        Held while the descriptor is used: it must not be closed while another thread writes.
    """

    def __init__(self, handle: int, name: str, owned: bool = False) -> None:
        self.handle = handle
        self.sent = 0
        self.regular = stat.S_ISREG(os.fstat(handle).st_mode)
        self.using = threading.RLock()
        self._name = name
        self._owned = owned
        self._interrupted = threading.Event()
        self._poll = select.poll()
        self._poll.register(handle, select.POLLOUT)

    def send(self, data: bytes) -> None:
        """Write all of `data`, unless it is interrupted. Raises `OutputError` if the reader is gone or a disk full."""
        rest = memoryview(data)
        try:
            with self.using:
                while rest and not self._interrupted.is_set():
                    written = self._write_some(rest)
                    rest = rest[written:]
                    self.sent += written
        except BrokenPipeError as error:
            raise OutputError(
                f"{self._name} was closed before everything was written", "let its reader read to the end"
            ) from error
        except OSError as error:
            raise cannot_write(f"to {self._name}", error) from error

    def interrupt(self) -> None:
        """Write no more, and end a wait for the reader."""
        self._interrupted.set()

    def close(self) -> None:
        """Close an owned descriptor. Errors of writing were raised by `send` before."""
        with self.using:
            if self._owned:
                self._owned = False
                with contextlib.suppress(OSError):
                    os.close(self.handle)

    def _write_some(self, data: memoryview) -> int:
        """Bytes written; 0 if there was no room for `POLL_SECONDS`."""
        if self.regular:
            return os.write(self.handle, data)
        # Other processes share standard output, so it must not be set to non-blocking. A pipe that has room takes
        # `PIPE_BUF` bytes without waiting (POSIX).
        if not self._poll.poll(POLL_SECONDS * 1000):
            return 0
        try:
            return os.write(self.handle, data[: select.PIPE_BUF])
        except BlockingIOError:  # another process has filled the pipe
            self._interrupted.wait(POLL_SECONDS)
            return 0
