"""Writes the log in a thread of its own, so that a full pipe makes no other thread wait."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from tts_cli.printable import on_one_line

MOST_LINES: Final = 1000
"""Lines that wait to be written. More are dropped."""
CLOSING_SECONDS: Final = 1.0


class Log:
    """A log of lines. Its methods may be called from any thread.

    Parameters
    ----------
    write
        Writes a line, in the thread of the log; None for standard error.
    """

    def __init__(self, write: Callable[[str], None] | None) -> None:
        self._write_line = write or _write_on_stderr
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)
        self._thread = threading.Thread(target=self._write, name="write log", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Write a line with the time before it. It is dropped if too many wait."""
        try:
            self._lines.put_nowait(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {on_one_line(text)}")
        except queue.Full:
            return

    def close(self) -> None:
        """Write what waits, for at most `CLOSING_SECONDS`."""
        try:
            self._lines.put(None, timeout=CLOSING_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSING_SECONDS)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write_line(line)


def _write_on_stderr(line: str) -> None:
    # Not through the buffer of `sys.stderr`: while this thread waits for a reader it would hold the lock of it, and the
    # end of the process would wait for that.
    with contextlib.suppress(OSError):  # nobody can be told
        os.write(sys.stderr.fileno(), f"{line}\n".encode(errors="backslashreplace"))


class LibraryLog(logging.Handler):
    """Takes what libraries report: one line each, without tracebacks.

    Parameters
    ----------
    log
        Where the lines go.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        cause = record.exc_info[1] if record.exc_info else None
        more = f" ({type(cause).__name__}: {cause})" if cause else ""
        self._log.line(f"{record.levelname.lower()}: {record.getMessage()}{more}")

    def install(self) -> None:
        """Take over the loggers of the libraries that the server uses."""
        for name in ("uvicorn", "websockets", "asyncio", "fastapi"):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self], False
            logger.setLevel(logging.WARNING)
