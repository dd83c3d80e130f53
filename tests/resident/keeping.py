"""Runs of `tts speak` with an engine that is kept, and the processes that keep it."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, Run

SAMPLES = "tests.sample_engines:"


def pids(folder: str) -> list[int]:
    """The processes that hold a lock there."""
    locks = {path.stat().st_ino for path in Path(folder, "tts").glob("*.lock")}
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [int(fields[4]) for fields in held if int(fields[5].rpartition(":")[2]) in locks]


def kept(tts: Run) -> list[str]:
    """What `tts server status` prints."""
    shown = tts("server", "status")
    assert (shown.returncode, shown.stderr) == (0, b"")
    return shown.stdout.decode().splitlines()


def pid_of(line: str) -> int:
    return int(line.split("process ")[1].split(",", maxsplit=1)[0])


def wait_for(tts: Run, words: str) -> str:
    """Until `tts server status` says so."""
    deadline = time.monotonic() + PATIENCE
    while words not in (line := kept(tts)[0]):
        assert time.monotonic() < deadline, line
    return line


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    with suppress(ProcessLookupError):
        while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            assert time.monotonic() < deadline


def speak(tts: Run, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return tts("speak", *arguments, "-q", "-o", "-", "--raw", **{"cwd": ROOT, **options})


def begun(environment: dict[str, str], *arguments: str, **streams: int) -> subprocess.Popen[bytes]:
    """`tts speak` with a slow engine that is kept, whose sound comes through a pipe."""
    command = [*TTS, "speak", *arguments, "--engine", f"{SAMPLES}SlowEngine", "--keep-warm", "10m", "-q", "-o", "-"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return warm.popen([*command, "--raw"], env=environment, cwd=ROOT, **pipes)  # type: ignore[arg-type]
