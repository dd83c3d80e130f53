"""Reads single keys from the terminal while something runs, and puts the terminal back afterwards."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Literal

Key = Literal["space", "left", "right", "up", "down", "plus", "minus", "q"]
KEYS: Final[Mapping[bytes, Key]] = {
    b" ": "space",
    b"\x1b[D": "left",
    b"\x1b[C": "right",
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1bOD": "left",
    b"\x1bOC": "right",
    b"\x1bOA": "up",
    b"\x1bOB": "down",
    b"+": "plus",
    b"=": "plus",
    b"-": "minus",
    b"_": "minus",
    b"q": "q",
    b"Q": "q",
}
"""What a terminal sends for each key. Arrows come in two ways (ECMA-48; DEC's cursor key mode)."""
LONGEST: Final = max(map(len, KEYS))
LOOK_SECONDS: Final = 0.2
"""Seconds from one check of the terminal to the next: a shell may have taken it or changed its settings."""
SHOW_CURSOR: Final = b"\x1b[?25h"
HIDE_CURSOR: Final = b"\x1b[?25l"


@contextmanager
def reading_keys(pressed: Callable[[Key], None]) -> Iterator[bool]:
    """Call `pressed` for each key, from another thread, until the context ends.

    Keys come from the terminal of the process, also where its standard input is a pipe. They are not echoed. Ctrl-C,
    Ctrl-\\ and Ctrl-Z work as always, and leave the terminal as it was. While another program has the terminal (after
    Ctrl-Z and `bg`), no key is read.

    Yields
    ------
    bool
        Whether there is a terminal that this process may read from. If not, no key is read.
    """
    terminal = _opened()
    if terminal is None:
        yield False
        return
    reader = _Reader(terminal, pressed)
    with contextlib.closing(reader), reader.handling_signals():
        yield True


def split(data: bytes) -> tuple[list[Key], bytes]:
    """The keys in what a terminal has sent, and the rest, which may be the beginning of another key.

    Examples
    --------
    >>> split(b" x\\x1b[D\\x1b[")
    (['space', 'left'], b'\\x1b[')
    """
    keys: list[Key] = []
    while data:
        sent = next((sent for sent in KEYS if data.startswith(sent)), None)
        if sent is not None:
            keys.append(KEYS[sent])
        elif data[:1] == b"\x1b" and any(each.startswith(data) for each in KEYS):
            break
        data = data[len(sent or b"x") :]
    return keys, data


def _opened() -> int | None:
    """The terminal of the process, if this process may read keys from it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    if _is_ours(terminal):
        return terminal
    os.close(terminal)
    return None


def _is_ours(terminal: int) -> bool:
    """Whether this process is in the foreground: only then may it change the terminal."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


class _Reader:
    """A thread that reads keys from a terminal."""

    def __init__(self, terminal: int, pressed: Callable[[Key], None]) -> None:
        self._terminal = terminal
        self._pressed = pressed
        self._before = termios.tcgetattr(terminal)
        self._closing, self._close = os.pipe()
        self._setting = threading.RLock()  # a signal may come while its thread holds it
        self._wanted = True
        self._set()
        self._thread = threading.Thread(target=self._work, name="read keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Put the terminal back, and end the thread. A second Ctrl-C may end the wait for it."""
        self._put_back()
        os.write(self._close, b"x")
        self._thread.join()
        for each in (self._terminal, self._closing, self._close):
            os.close(each)

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Put the terminal back before Ctrl-Z and Ctrl-\\ do what they do, and take it again after `fg`."""

        def stop(number: int, _frame: FrameType | None) -> None:
            self._put_back()
            self._write(SHOW_CURSOR)  # the display has hidden it, and the shell needs it
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # stops or ends the process here
            signal.signal(number, stop)
            self._write(HIDE_CURSOR)
            with self._setting:
                self._wanted = True
                self._set()

        before: dict[signal.Signals, Any] = {}
        for number in (signal.SIGTSTP, signal.SIGQUIT):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _set(self) -> None:
        """Let keys come one by one, without an echo, if they do not. `TCSANOW` keeps what was typed before."""
        with self._setting, contextlib.suppress(termios.error):  # the terminal is gone
            if not (self._wanted and _is_ours(self._terminal)):
                return
            changed = termios.tcgetattr(self._terminal)
            if changed[3] & (termios.ICANON | termios.ECHO):
                changed[3] &= ~(termios.ICANON | termios.ECHO)
                changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self._terminal, termios.TCSANOW, changed)

    def _put_back(self) -> None:
        with self._setting:
            self._wanted = False
            if _is_ours(self._terminal):  # otherwise another program uses it, and we would be stopped
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _write(self, code: bytes) -> None:
        if _is_ours(self._terminal):
            with contextlib.suppress(OSError):
                os.write(self._terminal, code)

    def _work(self) -> None:
        rest = b""
        ours = True
        while True:
            wanted = [self._closing, self._terminal] if ours else [self._closing]
            ready, _, _ = select.select(wanted, [], [], LOOK_SECONDS)
            if self._closing in ready:
                return
            ours = _is_ours(self._terminal)
            self._set()
            if not (ours and self._terminal in ready):
                continue
            try:
                data = os.read(self._terminal, 1024)
            except OSError:
                data = b""
            if not data:  # the terminal is closed
                return
            keys, rest = split(rest + data)
            for key in keys:
                self._pressed(key)
