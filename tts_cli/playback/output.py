"""What plays the sound of a `Playout`: the system's sound interface, in a thread of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tts_cli.playback.devices import Device
from tts_cli.playback.playout import Playout


class Output(ABC):
    """Asks a `Playout` for sound and plays it, from its making on.

    Attributes
    ----------
    asked : int
        How many frames it has asked for.
    underflows : int
        How often it ran dry.
    at_once : float
        How many seconds of sound must be there when playing begins, because it takes them before it plays them.
    reserve : float
        How many of these seconds it needs in any case. It does without the others while the next sound is late.
    """

    asked = 0
    underflows = 0
    at_once = 0.0
    reserve = 0.0

    @property
    @abstractmethod
    def active(self) -> bool:
        """Whether it still plays."""

    @property
    @abstractmethod
    def latency(self) -> float:
        """How many seconds it stores."""

    @property
    @abstractmethod
    def waiting(self) -> float:
        """How many samples of the ring it has taken and not played yet."""

    @abstractmethod
    def steer(self) -> None:
        """The flags of the playout, or the place in the ring, have changed: apply that as soon as possible."""

    @abstractmethod
    def stop(self) -> None:
        """End. What it has taken may be lost, or may be played before this returns."""

    @abstractmethod
    def abort(self) -> None:
        """Be silent at once, and end."""

    @abstractmethod
    def close(self) -> None:
        """End, and give the device back."""


def open_output(device: Device, playout: Playout) -> Output:
    """Open a device. Raises `MissingError` if that is not possible."""
    if device.system == "ALSA":
        from tts_cli.playback.alsa import is_sound_server

        if is_sound_server(device.name):
            from tts_cli.playback.libpulse import PulseError
            from tts_cli.playback.pulse import PulseOutput

            try:
                return PulseOutput(playout, device.rate)
            except PulseError:
                pass  # PortAudio says what is wrong, or gets through
    from tts_cli.playback.portaudio import PortAudioOutput

    return PortAudioOutput(device, playout)
