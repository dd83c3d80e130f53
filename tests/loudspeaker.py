"""A loudspeaker without a sound card: a PulseAudio null sink, and what was heard of it."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tests.harness import PATIENCE, clean_environment
from tts_cli.audio import Samples, to_pcm16

PAUSE = 0.1
"""Seconds without news from a monitor, which reports every 20 ms, that show that the machine stalled."""
LOSABLE = 12_000
"""Samples of a sound that may be lost where a device ran dry: PortAudio drops what its callback filled meanwhile."""
CARD = "card"
"""A device that programs do not know to be PulseAudio's, so that it is played on as a sound card is."""
PCM: TypeAlias = npt.NDArray[np.int16]
"""Sound as files and monitors have it: `[n]`."""


class DamagedError(AssertionError):
    """What was heard differs from the sound in a way that no stall of the machine explains."""


@dataclass
class Recording:
    """What a loudspeaker played, taken from its monitor: mono."""

    rate: int = 24_000
    pauses: int = 0
    """How often the monitor, which runs in real time, had nothing to tell for `PAUSE` seconds or more."""
    _data: bytearray = field(default_factory=bytearray)
    _more: threading.Condition = field(default_factory=threading.Condition)
    _sounding: bool = False
    sounded: float = 0.0
    """When something that is not silence was last recorded: `time.monotonic()`."""
    _ended: bool = False
    _latest: float = field(default_factory=time.monotonic)

    def add(self, block: bytes) -> None:
        now = time.monotonic()
        with self._more:
            self.pauses += now - self._latest > PAUSE
            self._latest = now
            self._data += block
            if any(block):
                self._sounding, self.sounded = True, now
            self._more.notify_all()

    def end(self) -> None:
        """The speaker has gone: nothing more will come."""
        with self._more:
            self._ended = True
            self._more.notify_all()

    def wait_for_seconds(self, seconds: float) -> None:
        """Until so much more has been recorded, or the end: the monitor runs in real time, sound or silence."""
        with self._more:
            target = self.seconds + seconds
            enough = self._more.wait_for(lambda: self._ended or self.seconds >= target, PATIENCE)
        assert enough, "the recorder has stopped"

    def wait_for_sound(self) -> None:
        """Until something that is not silence has been recorded."""
        with self._more:
            assert self._more.wait_for(lambda: self._sounding, PATIENCE), "no sound came"

    @property
    def seconds(self) -> float:
        """How much was recorded so far."""
        return len(self._data) / 4 / self.rate

    @property
    def exact(self) -> Samples:
        """float32 `[n]`, all that was recorded so far: to the bit what was played, if that had this rate."""
        with self._more:
            data = bytes(self._data[: len(self._data) // 4 * 4])
        return np.frombuffer(data, "<f4")

    @property
    def samples(self) -> PCM:
        """The same as int16."""
        return to_pcm16(self.exact)


@dataclass(frozen=True)
class Gap:
    """Silence in what was heard of a sound, where there is none in the sound. All in samples."""

    position: int
    """Where in the sound it is."""
    silence: int
    lost: int
    """How much of the sound is missing after it."""


def gaps(heard: PCM, sound: PCM) -> list[Gap]:
    """Where a player that got no more samples in time made a pause in `sound`; both int16.

    Everything else has to be there, equal to the last bit and in its order, with silence before and after it: raises
    `DamagedError` otherwise.
    """
    start, begin = int((heard != 0).argmax()), int((sound != 0).argmax())
    found: list[Gap] = []
    while True:
        length = min(len(heard) - start, len(sound) - begin)
        differs = np.flatnonzero(heard[start : start + length] != sound[begin : begin + length])
        same = int(differs[0]) if len(differs) else length
        start, begin = start + same, begin + same
        rest = np.flatnonzero(heard[start:])
        if not sound[begin:].any():
            if len(rest):
                raise DamagedError(f"something follows the end of the sound, {rest[0]} samples after it")
            return found
        resumed = start + int(rest[0]) if len(rest) else len(heard)
        lost = _lost(heard[resumed:], sound[begin:])
        if lost is None or (resumed == start and heard[start - 1 : start].any()):
            raise DamagedError(f"what is heard is not the sound from sample {begin} of {len(sound)} on; {found} before")
        found.append(Gap(begin, resumed - start, lost))
        start, begin = resumed, begin + lost


def _lost(heard: PCM, sound: PCM) -> int | None:
    """How many samples of `sound` `heard` leaves out at its beginning; None where it is not that sound."""
    if not len(heard):
        return len(sound) if len(sound) < LOSABLE else None
    for lost in np.flatnonzero(sound[:LOSABLE] == heard[0]):
        probe = sound[lost : lost + 240]
        if probe.any() and np.array_equal(heard[: len(probe)], probe):
            return int(lost)
    return None


@dataclass
class Speaker:
    """A PulseAudio server with nothing but a null sink, in which sound vanishes at the pace of real time."""

    environment: dict[str, str]
    log: Path
    """The server's, at its most talkative."""
    _pauses: int = 0

    @property
    def stalls(self) -> int:
        """How often the machine held the sound up so far, by the word of others than the product.

        That is: a player came too late with its samples, so that the server played silence and wrote it into its log;
        or server, recorder or this process themselves were not given the processor.
        """
        return len(re.findall(r"(?:Actual|Implicit) underrun of", self.log.read_text())) + self._pauses

    def add_sink(self, name: str, rate: int) -> None:
        """One more null sink, of that rate."""
        settings = (f"sink_name={name}", f"rate={rate}", "format=float32le", "norewinds=1")
        subprocess.run(
            ["pactl", "load-module", "module-null-sink", *settings],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def wait_for_player(self) -> None:
        """Until somebody plays."""
        deadline = time.monotonic() + PATIENCE
        command = ["pactl", "list", "short", "sink-inputs"]
        while not subprocess.check_output(command, env=self.environment).strip():
            assert time.monotonic() < deadline, "nobody plays"

    @contextmanager
    def recording(self, sink: str = "speaker", rate: int = 24_000) -> Iterator[Recording]:
        """Record everything that is played within."""
        command = [
            "parec",
            "-d",
            f"{sink}.monitor",
            f"--rate={rate}",
            "--channels=1",
            "--format=float32le",
            "--latency-msec=20",
        ]
        recording = Recording(rate)
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
                recording.pauses = 0
                yield recording
                recording.wait_for_seconds(0.5)
            finally:
                recorder.terminate()
                reader.join()
                self._pauses += recording.pauses

    def kill(self) -> None:
        """Unplug it."""
        subprocess.run(["pulseaudio", "--kill"], env=self.environment, check=True, stderr=subprocess.DEVNULL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it ask for nothing and answer nothing within, without an end to be noticed."""
        server = int(Path(self.environment["XDG_RUNTIME_DIR"], "pulse", "pid").read_text())
        os.kill(server, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server, signal.SIGCONT)


@contextmanager
def null_sink(runtime: Path) -> Iterator[Speaker]:
    """A loudspeaker, whose server keeps its files in the folder `runtime`."""
    runtime.chmod(0o700)
    keys = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(runtime)}
    environment = {key: value for key, value in clean_environment().items() if key != "PULSE_SERVER"} | keys
    log = runtime / "log"
    (runtime / ".asoundrc").write_text(
        f'pcm.{CARD} {{ type pulse\n device speaker\n hint.description "A sound card" }}\n'
    )
    subprocess.run(
        [
            *("pulseaudio", "-n", "--daemonize=yes", "--exit-idle-time=-1", "--load=module-native-protocol-unix"),
            # As float, what is heard is bit for bit what was played. Without rewinds, since a rewound sink's monitor
            # leaves out some milliseconds after every underrun.
            "--load=module-null-sink sink_name=speaker rate=24000 format=float32le norewinds=1",
            *("--log-level=debug", f"--log-target=file:{log}"),
        ],
        env=environment,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Speaker(environment, log)
    finally:
        subprocess.run(["pulseaudio", "--kill"], env=environment, check=False, stderr=subprocess.DEVNULL)


def despite_stalls(test: Callable[..., None]) -> Callable[..., None]:
    """A test with a speaker that is made again, five times at most, if it failed while the machine stalled.

    Two cores with much else to do, or a virtual machine that is paused, can keep any player from its device for longer
    than the device's buffer lasts; what is heard then proves nothing. What the product does wrong of its own accord, it
    does wrong in every attempt; and what no stall explains (`DamagedError`, or no stall at all) fails at once.
    """

    @functools.wraps(test)
    def attempts(speaker: Speaker, **fixtures: object) -> None:
        for _ in range(5):
            stalls = speaker.stalls
            try:
                return test(speaker=speaker, **fixtures)
            except DamagedError:
                raise
            except AssertionError:
                if speaker.stalls == stalls:
                    raise
        return test(speaker=speaker, **fixtures)

    return attempts
