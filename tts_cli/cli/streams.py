"""The standard streams, replaced so that they are always there and report failed writes.

A process may be started with a stream that is closed or full, or whose reader is gone. Writing a result to standard
output then raises an error. A message to standard error is dropped, because nobody could read it.
"""

from __future__ import annotations

import fcntl
import io
import os
import select
import sys
from pathlib import Path
from typing import Any, TextIO

from tts_cli.errors import OutputError
from tts_cli.printable import harmless


def own_streams() -> None:
    """Replace the standard streams. Call it once, before any file is opened."""
    _fill_closed()
    encoding, errors = ("utf-8", "replace") if sys.stdout is None else (sys.stdout.encoding, sys.stdout.errors)
    sys.stdout = _text(_Results(1, "w", closefd=False), encoding, errors)
    encoding, errors = ("utf-8", "backslashreplace")
    if sys.stderr is not None:
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        sys.stderr.flush()
    # On a descriptor of its own: ALSA, PortAudio and other C libraries print to descriptor 2, which is discarded.
    own = _text(_Messages(fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3), "w"), encoding, errors, line_buffering=True)
    _point_at_nothing(2)
    vars(sys).update(stderr=own, __stderr__=own)  # Rich asks `__stderr__` for the size of the terminal


def discard_results() -> None:
    """Drop what was not written to standard output, so that the end of the process does not wait or fail."""
    _point_at_nothing(1)


def print_path(path: Path) -> None:
    """Print a path: unchanged for a program, and without control characters on a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(f"{harmless(str(path))}\n")
    else:
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")


def is_open(handle: int) -> bool:
    """Whether standard input can be read (0), or standard output written to (1)."""
    access = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE
    return access != (os.O_RDONLY if handle else os.O_WRONLY)


def _fill_closed() -> None:
    """Open the null device on each closed descriptor, so that no file that is opened later gets its number.

    It is opened in the wrong direction, so reading and writing fail as on a closed descriptor.
    """
    for handle, access in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        if _is_closed(handle):
            os.set_inheritable(os.open(os.devnull, access), True)  # it gets the lowest free number: this one


def _is_closed(handle: int) -> bool:
    try:
        os.fstat(handle)
    except OSError:
        return True
    return False


def _point_at_nothing(handle: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, handle)
    os.close(nothing)


def _text(raw: io.FileIO, encoding: str, errors: str | None, line_buffering: bool | None = None) -> TextIO:
    buffering = raw.isatty() if line_buffering is None else line_buffering
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=buffering)


class _Results(io.FileIO):
    """Standard output. Writing waits for room, even if another process has made it non-blocking."""

    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"cannot write to standard output: {error.strerror}", "let it lead to where there is room, or to a file"
            ) from error
        return written


class _Messages(io.FileIO):
    """Standard error. What cannot be written is dropped."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)
