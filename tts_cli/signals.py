"""Handles Ctrl-C, SIGTERM and SIGHUP: they raise `KeyboardInterrupt` and decide the exit code.

The module imports almost nothing, because until `listen` is called Ctrl-C prints Python's traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib.machinery import ExtensionFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:  # as `typing` defines it; importing `typing` takes long
    from sys import UnraisableHookArgs
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH_SECONDS = 5.0
"""Signals within this time count as one. A closed terminal sends SIGHUP twice (from the system and from the shell), and
service managers send SIGTERM and SIGHUP together. A second Ctrl-C always counts."""
AGAIN_SECONDS = 0.01
"""After this time, a `KeyboardInterrupt` that would have been lost is raised again."""

_starting = True
_first = 0
_latest: float | None = None


def listen() -> None:
    """Install the handlers. Until `start` is called, a signal ends the process at once, with its exit code.

    A signal that is ignored stays ignored: SIGINT in a background job, SIGHUP after `nohup`.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, _raise)
    sys.unraisablehook = _not_raised


def start() -> None:
    """Let the signals raise `KeyboardInterrupt`, because the command that runs must clean up."""
    global _starting  # noqa: PLW0603  a process has one set of handlers
    _starting = False


def ignore() -> None:
    """Ignore the signals. At the end of the process they would only print a traceback."""
    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    # If a Ctrl-C passes through code that runs from a string, such as namedtuple's, CPython kills the process by SIGINT
    # at its end, though the Ctrl-C was caught. The next code from a string resets that (`run_eval_code_obj`).
    exec("")


def came() -> bool:
    """Whether one of the signals has come."""
    return bool(_first)


def exit_code() -> int:
    """The exit code for the first signal that came, as shells count: 130 for Ctrl-C."""
    return 128 + (_first or signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _first, _latest
    if _starting:
        os._exit(128 + number)
    again = _latest is not None and time.monotonic() - _latest < ONE_WISH_SECONDS
    _first, _latest = _first or number, time.monotonic()
    if not again or number == signal.SIGINT:
        _raise(number, frame)


def _raise(_number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`, or do so later if C code is being imported, because some of it drops exceptions.

    NumPy's `import_array()`, which many packages call, prints every exception and raises an `ImportError` instead.
    Modules made by Cython often ignore that.
    """
    if _imports_c_code(frame):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    else:
        raise KeyboardInterrupt


def _imports_c_code(frame: FrameType | None) -> bool:
    codes = (ExtensionFileLoader.create_module.__code__, ExtensionFileLoader.exec_module.__code__)
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


def _not_raised(unraisable: UnraisableHookArgs) -> None:
    """Raise `KeyboardInterrupt` again if it came in a finaliser or in a weak reference's callback, which drop it."""
    if unraisable.exc_type is KeyboardInterrupt and came():
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    else:
        sys.__unraisablehook__(unraisable)
