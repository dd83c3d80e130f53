"""A Python program in a process that was forked for it: becomes what a fresh interpreter would be, and runs it."""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """What a process finds when it begins, but for its streams."""

    environment: dict[str, str]
    folder: Path
    terminal: bool = False
    """Standard input, or else output, is the terminal whose Ctrl-C it hears."""
    ignored: Sequence[signal.Signals] = ()
    """Signals that it does not hear unless it asks for them."""
    closed: Sequence[int] = ()
    """Which of its streams it does not have."""

    def prepare(self) -> None:
        """Set what a process has before there is an interpreter in it; its streams have to be in their places."""
        for number in self.closed:
            os.close(number)
        for each in self.ignored:
            signal.signal(each, signal.SIG_IGN)
        if self.terminal:
            os.setsid()  # a session's first terminal becomes the one whose Ctrl-C it hears
            os.close(os.open(os.ttyname(next(number for number in (0, 1) if os.isatty(number))), os.O_RDWR))


def run(command: list[str], streams: Sequence[Connection], setting: Setting) -> None:
    """Run the program in this process.

    Unlike an interpreter, the process does not take apart its modules at the end: for torch's that takes a second.
    """
    from tests.preload import PATH

    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    setting.prepare()
    sys.stdin, sys.stdout, sys.stderr = _opened(0, "r"), _opened(1, "w"), _opened(2, "w")
    os.environ.clear()
    os.environ.update(setting.environment)
    sys.warnoptions = setting.environment.get("PYTHONWARNINGS", "").split(",")
    warnings.resetwarnings()
    warnings._processoptions(sys.warnoptions)  # type: ignore[attr-defined]  # as an interpreter does when it starts
    os.chdir(setting.folder)
    kind, *rest = command
    folder = {"-m": str(setting.folder), "-c": ""}.get(kind, str(Path(kind).parent))
    sys.path[:] = [folder, *PATH]
    try:
        _run(kind, rest)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # as an interpreter does, before what has to be last
        atexit._run_exitfuncs()
        gc.collect()  # reports files that nobody closed


def _opened(number: int, mode: str) -> Any:
    """A new object, because a file object remembers what kind of file it was opened with; None: closed."""
    before = (sys.__stdin__, sys.__stdout__, sys.__stderr__)[number]
    assert before is not None
    opened = partial(open, number, mode, encoding=before.encoding, errors=before.errors, closefd=False)
    try:
        return opened(buffering=1) if number == 2 else opened()
    except OSError:
        return None


def _run(kind: str, rest: list[str]) -> None:
    if kind == "-m":
        assert rest[0] == "tts_cli"
        sys.argv = ["tts", *rest[1:]]
        from tts_cli.__main__ import main

        main()
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [kind, *rest]
        runpy.run_path(kind, run_name="__main__")
