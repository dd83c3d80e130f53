"""Sound out of a loudspeaker: a ring buffer between the engine and PortAudio's callback."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Final

import numpy as np

from tts_cli.audio import SAMPLE_RATE, Samples, as_samples
from tts_cli.errors import MissingError, OutputError
from tts_cli.playout import Playout
from tts_cli.ring import Ring
from tts_cli.sinks import SinkStatus
from tts_cli.sinks.devices import Device, sounddevice

CAPACITY_SECONDS: Final = 60
"""What the ring holds, so the most that can be gathered before playing: 5.8 MB at 24 kHz."""
LATENCY_SECONDS: Final = 0.15
"""What the device buffers behind our ring. Less than this runs dry on two busy cores; Ctrl-C does not wait for it."""
SERVER_SECONDS: Final = 0.3
"""What a sound server may hold behind the device's buffer: how much later the last sample may be heard."""
POLL_SECONDS: Final = 0.01
"""How often the owner looks for room in the ring. The callback must not wake anybody: that could make it wait."""
DEAD_SECONDS: Final = 2.0
"""A device that has not asked for sound for so long is gone. Counted in polls: a clock would go on while the process,
and the device's thread with it, is stopped (Ctrl-Z) or the machine is paused."""


class SpeakerSink:
    """Plays what it is given, from a callback that only copies and counts (`playout.Playout`)."""

    def __init__(self, device: Device) -> None:
        """Open `device` and let it play silence. Raises `MissingError` where it cannot be opened."""
        self._device = device
        self._ring = Ring(CAPACITY_SECONDS * device.rate)
        self._playout = Playout(self._ring, device.rate)
        self._underflows = 0
        self._asked = 0  # frames, since the device was opened
        self._unanswered = 0  # polls, since it asked
        self._interrupted = threading.Event()
        self._stopping = threading.Lock()
        self._needed = 0.0
        self._resampler = _resampler(device.rate)
        sd = sounddevice()
        try:
            self._stream: Any = sd.OutputStream(
                samplerate=device.rate,
                device=device.index,
                channels=device.channels,
                dtype="float32",
                latency=LATENCY_SECONDS,
                callback=self._callback,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            raise MissingError(
                f"the audio device {device.name!r} cannot be opened ({_first_line(error)})",
                "try another one (`tts devices`), or write a file with -o speech.wav",
            ) from error

    def _callback(self, out: Any, frames: int, when: Any, status: Any) -> None:  # noqa: ARG002
        if status:
            self._underflows += 1
        mono = out[:, 0]
        self._playout.fill(mono)
        for channel in range(1, out.shape[1]):
            out[:, channel] = mono
        self._asked += frames
        self._unanswered = 0

    def write(self, samples: Samples, needed: float) -> None:
        """Clip as files do, resample where the device asks for it, and wait until all is in the ring."""
        self._needed = needed
        samples = np.clip(samples, -1.0, 1.0)
        if self._playout.draining:
            # A new stretch of text after a pause: it gathers its own pre-buffer.
            if not self._ring.available:
                self._playout.open = False
            self._playout.draining = False
        self._put(self._resampled(samples, last=False))
        if not self._playout.open and self._ring.available >= min(needed * self._device.rate, self._ring.capacity // 2):
            self._playout.open = True

    def _put(self, samples: Samples) -> None:
        while len(samples) and not self._interrupted.is_set():
            written = self._ring.write(samples)
            samples = samples[written:]
            if len(samples):
                self._playout.open = True
                self._wait()

    def _resampled(self, samples: Samples, last: bool) -> Samples:
        if self._resampler is None:
            return samples
        return as_samples(self._resampler.resample_chunk(samples, last=last))

    def text_pending(self) -> None:
        """Play all there is."""
        self._playout.draining = True  # first, so that a callback that shuts the gate just now sees it
        self._playout.open = True

    def finish(self) -> None:
        """Play to the last sample. Raises `OutputError` when the device stops asking for sound."""
        self._put(self._resampled(np.zeros(0, np.float32), last=True))
        self.text_pending()
        while self._ring.available and not self._interrupted.is_set():
            self._wait()
        # What the callback has handed over is still on its way, and PortAudio's stop does not always wait for it. It
        # has been heard once the device has asked for as much silence behind it as it holds, however long that takes.
        heard = self._asked + (self._stream.latency + SERVER_SECONDS) * self._device.rate
        while self._asked < heard and not self._interrupted.is_set():
            self._wait()
        if not self._interrupted.is_set():
            self._guarded(self._stream.stop)

    def play_out(self) -> None:
        """As `finish`: a listener hears all that there is."""
        self.finish()

    def _wait(self) -> None:
        if self._unanswered * POLL_SECONDS > DEAD_SECONDS or not self._stream.active:
            raise self._lost()
        self._unanswered += 1
        self._interrupted.wait(POLL_SECONDS)

    def _lost(self) -> OutputError:
        return OutputError(
            f"the audio device {self._device.name!r} has stopped playing",
            "is it still connected? `tts devices` lists what is",
        )

    def interrupt(self) -> None:
        """Drop what is buffered, here and in the device, and write no more."""
        self._playout.cut = True
        self._interrupted.set()
        with contextlib.suppress(OutputError):  # a device that has gone is silent, too
            self._guarded(self._stream.abort)

    def close(self) -> None:
        """Stop at once and give the device back."""
        self._interrupted.set()
        self._guarded(lambda: self._stream.close(ignore_errors=True))

    def _guarded(self, call: Any) -> None:
        """Run `call` in a thread: the system's calls may never return once a device has gone."""
        failure: list[BaseException] = []

        def run() -> None:
            try:
                with self._stopping:
                    call()
            except Exception as error:  # noqa: BLE001  whatever PortAudio raises means that the device is gone
                failure.append(error)

        thread = threading.Thread(target=run, name="close audio device", daemon=True)
        thread.start()
        thread.join(DEAD_SECONDS)
        if failure or thread.is_alive():
            raise self._lost()

    def status(self) -> SinkStatus:
        """How delivery stands."""
        rate = self._device.rate
        return SinkStatus(
            delivered=(self._playout.played_frames + self._ring.available) / rate,
            playing=self._playout.open and self._ring.available > 0,
            buffered=self._ring.available / rate,
            needed=self._needed,
            starved_frames=self._playout.starved_frames,
            device_underflows=self._underflows,
            rate=rate,
        )


def _resampler(rate: int) -> Any:
    if rate == SAMPLE_RATE:
        return None
    import soxr

    return soxr.ResampleStream(SAMPLE_RATE, rate, 1, dtype="float32")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
