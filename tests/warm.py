"""Starts Python programs in processes that are forked from one that has imported torch and what else takes long.

Such a program has its own process, streams, environment and folder, as any other. What only a fresh interpreter shows
(its start, its end, and what is imported when) is tested with `subprocess`.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any, TypeAlias

import pytest

from tests import program
from tests.harness import PATIENCE, clean_environment

PRELOAD = ["tests.preload"]
READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "OMP_")
"""Beginnings of the names of variables that an interpreter or a library reads once."""
READ_LATER = ("PYTHONWARNINGS",)
"""Of these, what `tests.program` reads again."""
CLOSED = -100
"""For a stream: the program has none, as after `>&-` in a shell."""

Command: TypeAlias = "Sequence[str | bytes | Path]"
"""`[python, "-m", "tts_cli", …]`, `[python, "-c", code, …]` or `[python, script, …]`."""
Stream: TypeAlias = "int | IO[bytes] | None"


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

    def is_like(self, environment: Mapping[str, str]) -> bool:
        """Whether an interpreter that starts in that environment finds what this one has found."""
        return _read_at_start(environment) == _read_at_start(self._environment)

    def fork(self, command: Command, streams: Sequence[Connection], setting: program.Setting) -> ForkServerProcess:
        """A process that runs the program, with these streams."""
        words = [os.fsdecode(word) for word in command[1:]]
        process: ForkServerProcess = self._context.Process(target=program.run, args=(words, streams, setting))
        process.start()
        return process


@functools.cache
def warm_process() -> WarmProcess:
    """The one of this test run."""
    return WarmProcess(clean_environment())


def popen(
    command: Command,
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    terminal: bool = False,
    ignored: Sequence[signal.Signals] = (),
) -> subprocess.Popen[bytes]:
    """Start a Python program, as `subprocess.Popen` does.

    Parameters
    ----------
    terminal
        Standard input, or else output, is the terminal whose Ctrl-C the program hears.
    ignored
        Signals that the program does not hear unless it asks for them, as after `nohup`.
    """
    streams = [stdin, stdout, stderr]
    closed = [number for number, stream in enumerate(streams) if stream == CLOSED]
    setting = program.Setting(dict(env), cwd or Path.cwd(), terminal, ignored, closed)
    streams = [subprocess.DEVNULL if stream == CLOSED else stream for stream in streams]
    macos = sys.platform == "darwin"  # ends a process that is forked without a new program in it
    if macos or not warm_process().is_like(env):
        stdin, stdout, stderr = streams
        prepare = setting.prepare if terminal or ignored or closed else None
        return subprocess.Popen(
            command, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, preexec_fn=prepare
        )
    return _Forked(command, streams, setting)


def run(
    command: Command,
    *,
    input: bytes | None = None,  # noqa: A002  as subprocess.run has it
    stdin: Stream = subprocess.DEVNULL,
    timeout: float = PATIENCE,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Run a Python program, as `subprocess.run` does; unless `options` say otherwise, its output is captured."""
    streams = {"stdin": stdin if input is None else subprocess.PIPE}
    streams |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with popen(command, **(streams | options)) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


class _Forked(subprocess.Popen[bytes]):
    """A process that the warm one has forked, and which is no child of this one."""

    def __init__(self, command: Command, streams: Sequence[Stream], setting: program.Setting) -> None:
        self.args = command
        self.returncode = None  # until it has ended
        ours: list[IO[bytes] | None] = []
        theirs: list[Connection] = []
        for number, stream in enumerate(streams):
            end, own = _ends(number, stream)
            theirs.append(Connection(end, writable=number > 0, readable=number == 0))
            ours.append(own)
        self.stdin, self.stdout, self.stderr = ours
        self._process = warm_process().fork(command, theirs, setting)
        for each in theirs:
            each.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        if self._process.exitcode is not None:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """Unlike that of `subprocess`, it kills the process that does not end in time."""
        with ThreadPoolExecutor(3) as pool:
            if self.stdin is not None and not self.stdin.closed:
                pool.submit(_write, self.stdin, input or b"")
            results = [stream and pool.submit(_read, stream) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except BaseException:
                self.kill()
                raise
        out, err = (result and result.result() for result in results)
        return out, err


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    names = [name for name in environment if name.startswith(READ_AT_START) and name not in READ_LATER]
    return {name: environment[name] for name in names}


def _ends(number: int, stream: Stream) -> tuple[int, IO[bytes] | None]:
    """The program's end of a stream, and ours where it is a pipe."""
    if stream == subprocess.PIPE:
        reader, writer = os.pipe()
        return (reader, os.fdopen(writer, "wb")) if number == 0 else (writer, os.fdopen(reader, "rb"))
    if stream == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    if stream == subprocess.STDOUT:
        raise NotImplementedError("no test needs it")
    return os.dup(number if stream is None else stream if isinstance(stream, int) else stream.fileno()), None


def _write(pipe: IO[bytes], content: bytes) -> None:
    with suppress(BrokenPipeError), pipe:
        pipe.write(content)


def _read(pipe: IO[bytes]) -> bytes:
    if pipe.closed:
        return b""
    with pipe:
        return pipe.read()
