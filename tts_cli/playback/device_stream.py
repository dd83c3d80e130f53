"""A stream of samples that a device plays. It stores some in advance, and takes back what it has not played."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from tts_cli.audio import Samples

STORED_SECONDS: Final = 0.2
"""How much a stream stores. The process that speaks may be without processor time for so long."""
LOOK_SECONDS: Final = 0.1
"""Seconds after which a wait for an answer checks whether it should end."""


class StreamError(Exception):
    """The stream cannot be opened, cannot play any more, or has ended."""


class DeviceStream(ABC):
    """Plays mono float32 samples. Positions count them from the beginning of the stream.

    One thread at a time may call the methods; `wake` may be called by others.

    Attributes
    ----------
    length : int
        How many samples it stores.
    ahead : int
        How many of these are still played when the others are replaced.
    delay : int
        How many samples the device stores in addition. They cannot be replaced.
    """

    length: int
    ahead: int
    delay: int

    @abstractmethod
    def turn(self, seconds: float | None = None) -> None:
        """Wait for messages, and process them.

        Parameters
        ----------
        seconds
            How long to wait at most; None for as long as it takes.

        Raises
        ------
        StreamError
            If the stream has ended, or cannot play any more.
        """

    @abstractmethod
    def wake(self) -> None:
        """End the wait of `turn`."""

    @abstractmethod
    def writable(self) -> int:
        """How many samples the stream asks for."""

    @abstractmethod
    def write(self, samples: Samples) -> None:
        """Add samples `[n]` at the end of the stream."""

    @abstractmethod
    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        """Play samples `[n]` soon, instead of those that the stream has. What is played before them fades out.

        Parameters
        ----------
        samples
            The sound.
        ended
            Asked while the answer is waited for.

        Returns
        -------
        int or None
            Where in the stream the samples begin; None if `ended` became true before the stream answered.
        """

    @abstractmethod
    def ran_dry(self) -> int:
        """A number that changes when the stream has had nothing to play."""

    @abstractmethod
    def flush(self, ended: Callable[[], bool]) -> None:
        """Drop what the stream has. Return when that is done, or when `ended` becomes true. Only `close` may follow."""

    @abstractmethod
    def close(self) -> None:
        """End the stream. What it has is dropped."""
