"""Ctrl-C, SIGTERM and SIGHUP: heard from the first moment on, raised as `KeyboardInterrupt`, told by the exit code.

Imports next to nothing: until `listen` is called, Ctrl-C is Python's, which shows a traceback.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `typing`, which takes long to import
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH_SECONDS = 5.0
"""A terminal that is closed sends SIGHUP twice (the system, then the shell), and service managers send SIGTERM and
SIGHUP together: within this time they mean one thing. A second Ctrl-C means more."""

_starting = True
_first = 0
_latest: float | None = None


def listen() -> None:
    """Hear the signals: each ends the process at once, with its exit code, since there is nothing to clean up yet.

    One that we were started deaf to stays ignored: SIGINT in a background job, SIGHUP after nohup.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def start() -> None:
    """From now on they raise `KeyboardInterrupt`: a command runs, which has to clean up."""
    global _starting  # noqa: PLW0603  as there is one set of handlers in a process
    _starting = False


def ignore() -> None:
    """Hear no signal any more: the process is about to end, and would only print a traceback."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # CPython remembers a Ctrl-C that has passed through code in a string, such as namedtuple's, and kills the process
    # by SIGINT at its end though the Ctrl-C was caught. It forgets at the next such code (`run_eval_code_obj`).
    exec("")


def came() -> bool:
    """Whether one of them has come."""
    return bool(_first)


def exit_code() -> int:
    """What shells say of a process that the first of them has ended: 130 for Ctrl-C."""
    return 128 + (_first or signal.SIGINT)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    global _first, _latest
    if _starting:
        os._exit(128 + number)
    again = _latest is not None and time.monotonic() - _latest < ONE_WISH_SECONDS
    _first, _latest = _first or number, time.monotonic()
    if not again or number == signal.SIGINT:
        raise KeyboardInterrupt
