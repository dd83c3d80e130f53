"""Plays through PortAudio. What a device has taken is heard, also after a pause."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tts_cli.errors import MissingError
from tts_cli.playback.devices import Device, sounddevice
from tts_cli.playback.output import Output
from tts_cli.playback.playout import Playout

LATENCY_SECONDS: Final = 0.15
"""What the device buffers after the ring. Ctrl-C drops it; after a pause it is still heard.

A shorter buffer runs dry on two busy cores: docs/playback.md has the measurements."""


class PortAudioOutput(Output):
    """Plays on a device of any system.

    Parameters
    ----------
    device
        The device, as `find_device` returns it.
    playout
        What is played. It is filled in PortAudio's thread.

    Raises
    ------
    MissingError
        If the device cannot be opened.
    """

    def __init__(self, device: Device, playout: Playout) -> None:
        self._playout = playout
        self._rate = device.rate
        sd = sounddevice()
        try:
            self._stream: Any = sd.RawOutputStream(  # OutputStream warns at each callback with NumPy 2.5
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
            self.underflows += 1
        channels = np.frombuffer(out, np.float32).reshape(frames, -1)
        mono = channels[:, 0]
        self._playout.fill(mono)
        channels[:, 1:] = mono[:, np.newaxis]
        self.asked += frames

    @property
    def active(self) -> bool:
        """Whether PortAudio still calls back."""
        return bool(self._stream.active)

    @property
    def latency(self) -> float:
        """As PortAudio says."""
        return float(self._stream.latency)

    @property
    def waiting(self) -> float:
        """All that the device stores."""
        return self.latency * self._rate

    def steer(self) -> None:
        """The next callback does: PortAudio cannot take back what a device has."""

    def stop(self) -> None:
        """End when the device has played what it has, as far as PortAudio waits for that."""
        self._stream.stop()

    def abort(self) -> None:
        """Let the device drop what it has."""
        self._stream.abort()

    def close(self) -> None:
        """Give the device back."""
        self._stream.close(ignore_errors=True)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
