"""Runs `tts` in processes that are forked from one that has imported torch and what else takes long.

Such a run has its own process, streams, environment and folder, as any other. What only a fresh interpreter shows (its
start, its end, and what is imported when) is tested with `harness.TTS`.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.harness import TTS

PRELOAD = ["tests.preload"]
READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "OMP_")
"""Beginnings of the names of variables that an interpreter or a library reads once."""


class WarmProcess:
    """The process that the others are forked from. It ends when this process and all of those have ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - environment.keys():
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            forkserver.ensure_running()

    def run(
        self,
        arguments: Sequence[str | bytes],
        *,
        env: Mapping[str, str],
        cwd: Path,
        timeout: float,
        input: bytes | None = None,  # noqa: A002  as subprocess.run has it
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `tts`, as `subprocess.run` does with captured output. Without `input`, standard input is empty."""
        macos = sys.platform == "darwin"  # ends a process that is forked without a new program in it
        if macos or _read_at_start(env) != _read_at_start(self._environment):
            source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
            command = [*TTS, *arguments]
            return subprocess.run(
                command, env=env, cwd=cwd, timeout=timeout, capture_output=True, check=False, **source
            )
        if input is None:
            stdin, feed = Connection(os.open(os.devnull, os.O_RDONLY), writable=False), None
        else:
            stdin, feed = self._context.Pipe(duplex=False)
        (out, stdout), (err, stderr) = self._context.Pipe(duplex=False), self._context.Pipe(duplex=False)
        command = ["tts", *map(os.fsdecode, arguments)]
        process = self._context.Process(target=_tts, args=(command, (stdin, stdout, stderr), dict(env), cwd))
        with ThreadPoolExecutor(3) as pool:
            process.start()
            for end in (stdin, stdout, stderr):
                end.close()
            if feed is not None and input is not None:
                pool.submit(_write, feed, input)
            results = [pool.submit(_read, each) for each in (out, err)]
            process.join(timeout)
            if process.exitcode is None:
                process.kill()
                process.join()
                raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, process.exitcode, *(each.result() for each in results))


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


def _write(end: Connection, content: bytes) -> None:
    with end, suppress(BrokenPipeError), open(end.fileno(), "wb", closefd=False) as pipe:
        pipe.write(content)


def _read(end: Connection) -> bytes:
    with end, open(end.fileno(), "rb", closefd=False) as pipe:
        return pipe.read()


def _tts(command: list[str], streams: Sequence[Connection], environment: dict[str, str], folder: Path) -> None:
    """Run `tts` in the forked process.

    Unlike an interpreter, the process does not take apart its modules at the end: for torch's that takes a second.
    """
    from tests.preload import PATH

    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    # New objects, because a file object remembers what kind of file it was opened with.
    opened: Any = partial(open, encoding=sys.stdout.encoding, closefd=False)
    sys.stdin, sys.stdout = (opened(number, mode, errors=sys.stdout.errors) for number, mode in ((0, "r"), (1, "w")))
    sys.stderr = opened(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:] = [str(folder), *PATH]  # where `python -m` puts it
    sys.argv = command

    from tts_cli.__main__ import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()
        gc.collect()  # reports files that nobody closed
