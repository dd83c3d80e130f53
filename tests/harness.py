"""`tts` as a real process, and a loudspeaker without a sound card."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
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
