"""What plays a stream of samples: it stores some in advance, and takes back what it has not played."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tts_cli.audio import Samples
from tts_cli.errors import MissingError
from tts_cli.playback.devices import Device


class ServerError(Exception):
    """The server cannot be reached, cannot play, or has ended."""


class SoundServer(ABC):
    """Plays one stream of mono float32 samples. Positions count samples from its beginning.

    One thread at a time may call the methods; `wake` may be called by others.

    Attributes
    ----------
    length : int
        How many samples it stores.
    ahead : int
        How many of these are still played when the others are replaced.
    delay : int
        How many samples the device stores in addition. They cannot be replaced.
    fades : bool
        Whether it fades out what is played before replaced samples.
    """

    length: int
    ahead: int
    delay: int
    fades: bool

    @abstractmethod
    def turn(self, seconds: float | None = None) -> None:
        """Wait for news, at most `seconds` if given, and receive them.

        Raises
        ------
        ServerError
            If the server has ended, or cannot play any more.
        """

    @abstractmethod
    def wake(self) -> None:
        """End the wait of `turn`."""

    @abstractmethod
    def writable(self) -> int:
        """How many samples the server asks for."""

    @abstractmethod
    def write(self, samples: Samples, position: int) -> None:
        """Give the server samples `[n]` for a position, instead of those that it may have."""

    @abstractmethod
    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        """Give the server samples `[n]` to be played soon, instead of those that it has.

        Parameters
        ----------
        samples
            The sound.
        ended
            Asked while the answer is waited for.

        Returns
        -------
        int or None
            The position that the samples have got; None if `ended` became true while the server did not answer.
        """

    @abstractmethod
    def ran_dry(self) -> int:
        """A number that changes when the server has had nothing to play."""

    @abstractmethod
    def flush(self, ended: Callable[[], bool]) -> None:
        """Let the server drop what it has. Returns when it has, or when `ended` becomes true."""

    @abstractmethod
    def close(self) -> None:
        """End. The server drops what it has."""


def open_server(device: Device) -> SoundServer:
    """Open what plays on a device.

    Raises
    ------
    MissingError
        If the device cannot be opened.
    """
    from tts_cli.playback.player_process import PlayerProcess

    if device.system == "ALSA":
        from tts_cli.playback.alsa import is_sound_server

        if is_sound_server(device.name):
            from tts_cli.playback.libpulse import PulseServer

            try:
                return PulseServer(device.rate)
            except ServerError:
                pass  # PortAudio says what is wrong, or gets through
    try:
        return PlayerProcess(device)
    except ServerError as error:
        raise MissingError(
            f"the audio device {device.name!r} cannot be opened ({error})",
            "try another one (`tts devices`), or write a file with -o speech.wav",
        ) from error
