"""`tts` as a real process, a loudspeaker without a sound card, and a terminal without a screen."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TTS = [sys.executable, "-m", "tts_cli"]
PATIENCE = 120
"""Seconds after which a process that should have ended is taken for hung."""

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def clean_environment() -> dict[str, str]:
    """This process's environment, with our package and the test engines in reach and nothing of the user's in it."""
    dropped = ("TTS_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return environment | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONWARNINGS": "error", "TERM": "xterm-256color"}


def complaint(result: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that a failed run prints."""
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tts: ")
    assert b"Traceback" not in result.stderr
    return lines[0]


@dataclass
class Recording:
    """What a loudspeaker played, taken from its monitor: 24 kHz mono."""

    _blocks: list[bytes] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False

    def add(self, block: bytes) -> None:
        with self._more:
            self._blocks.append(block)
            self._more.notify_all()

    def end(self) -> None:
        """The speaker has gone: nothing more will come."""
        with self._more:
            self._ended = True
            self._more.notify_all()

    def wait_for_seconds(self, seconds: float) -> None:
        """Until so much more has been recorded, or the end: the monitor runs in real time, sound or silence."""
        with self._more:
            target = self._size() + int(seconds * 24_000) * 2
            enough = self._more.wait_for(lambda: self._ended or self._size() >= target, PATIENCE)
        assert enough, "the recorder has stopped"

    def wait_for_sound(self) -> None:
        """Until something that is not silence has been recorded."""
        with self._more:
            assert self._more.wait_for(lambda: any(any(block) for block in self._blocks), PATIENCE), "no sound came"

    def _size(self) -> int:
        return sum(len(block) for block in self._blocks)

    @property
    def samples(self) -> np.ndarray:
        """int16 `[n]`, all that was recorded so far."""
        with self._more:
            data = b"".join(self._blocks)
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2")


@dataclass
class Speaker:
    """A PulseAudio server with nothing but a null sink, in which sound vanishes at the pace of real time."""

    environment: dict[str, str]

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """Record everything that is played within."""
        command = [
            "parec",
            "-d",
            "speaker.monitor",
            "--rate=24000",
            "--channels=1",
            "--format=s16le",
            "--latency-msec=20",
        ]
        recording = Recording()
        with subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE) as recorder:
            assert recorder.stdout is not None
            descriptor = recorder.stdout.fileno()

            def read() -> None:
                while block := os.read(descriptor, 4096):
                    recording.add(block)
                recording.end()

            reader = threading.Thread(target=read)
            reader.start()
            try:
                recording.wait_for_seconds(0.1)
                yield recording
                recording.wait_for_seconds(1.0)
            finally:
                recorder.terminate()
                reader.join()

    def kill(self) -> None:
        """Unplug it."""
        subprocess.run(["pulseaudio", "--kill"], env=self.environment, check=True, stderr=subprocess.DEVNULL)


class Terminal:
    """A terminal with one program in it, as the person in front of it has it."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.screen = ""

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def wait_for(self, pattern: str) -> None:
        """Read until the pattern has been shown."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.screen):
            assert time.monotonic() < deadline, self.screen
            assert self._read(), f"the program ended with {self.process.wait()}: {self.screen}"

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE)
        assert ready, "nothing happens any more"
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # how Linux says that nobody holds the other end
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*arguments: str, environment: dict[str, str], folder: Path, **streams: object) -> Iterator[Terminal]:
    """Run `tts` in a terminal of its own; `streams` takes some of it elsewhere."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # type: ignore[call-overload]
        [*TTS, *arguments],
        env=environment,
        cwd=folder,
        start_new_session=True,
        # A session's first terminal becomes the one whose Ctrl-C it hears.
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs} | streams,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
