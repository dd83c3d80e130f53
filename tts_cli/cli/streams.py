"""The three standard streams: always there, and honest about what could not be written.

A process may be started with any of them closed, full, or connected to somebody who has gone. Results (standard output)
then raise an error like any other; messages (standard error) are dropped, since there is nobody to tell.
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
from tts_cli.shown import harmless


def own_streams() -> None:
    """Take over the standard streams. To be called once, before any file is opened."""
    _fill_closed()
    encoding, errors = ("utf-8", "replace") if sys.stdout is None else (sys.stdout.encoding, sys.stdout.errors)
    sys.stdout = _text(_Results(1, "w", closefd=False), encoding, errors)
    encoding, errors = ("utf-8", "backslashreplace")
    if sys.stderr is not None:
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        sys.stderr.flush()
    # Kept to ourselves: ALSA, PortAudio and their kin print to file descriptor 2 from C, whatever we catch.
    own = _text(_Messages(fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3), "w"), encoding, errors, line_buffering=True)
    _point_at_nothing(2)
    vars(sys).update(stderr=own, __stderr__=own)  # Rich asks the latter for the terminal's size


def discard_results() -> None:
    """Forget what standard output has not taken, or the end of the process would wait for it or fail again."""
    _point_at_nothing(1)


def print_path(path: Path) -> None:
    """Print the name of a file: as it is where a program reads it, harmlessly where a person does."""
    if sys.stdout.isatty():
        sys.stdout.write(f"{harmless(str(path))}\n")
    else:
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")


def is_open(handle: int) -> bool:
    """Whether standard input can be read (0), or standard output written to (1)."""
    access = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE
    return access != (os.O_RDONLY if handle else os.O_WRONLY)


def _fill_closed() -> None:
    """Let no file that is opened later become standard output and receive what is printed there.

    What is put there cannot be used either: reading from or writing to it fails, as it would have.
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
    """Standard output. Writing waits for room, also where another process has made it non-blocking."""

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
    """Standard error. What cannot be written is lost."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)
