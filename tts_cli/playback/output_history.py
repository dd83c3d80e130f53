"""The last sound that a device was given, and where in the ring it comes from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples


class OutputHistory:
    """Stores the last frames of a stream. Positions count frames from its beginning.

    Parameters
    ----------
    length
        How many frames are stored.

    Attributes
    ----------
    end : int
        The position of the next frame.
    sound_end : int
        The position after the last frame that is not silent.

    Examples
    --------
    >>> sent = OutputHistory(4)
    >>> sent.add(np.array([0.5, 0.5, 0, 0], np.float32), np.array([7, 8, 9, 9]))
    >>> sent.end, sent.sound_end, sent.place(1), sent.place(5)
    (4, 2, 8, None)
    """

    def __init__(self, length: int) -> None:
        self._samples = np.zeros(length, np.float32)
        self._places = np.zeros(length, np.int64)
        self.end = 0
        self.sound_end = 0

    def add(self, samples: Samples, places: npt.NDArray[np.int64]) -> None:
        """Store frames `[n]`, and the positions in the ring before each of them `[n]`."""
        length = len(self._samples)
        self._samples = np.concatenate([self._samples, samples])[-length:]
        self._places = np.concatenate([self._places, places])[-length:]
        loud = np.flatnonzero(samples)
        if len(loud):
            self.sound_end = self.end + int(loud[-1]) + 1
        self.end += len(samples)

    def cut(self, position: int) -> None:
        """Drop the frames from `position` on. If fewer were sent, silence is what was played up to there."""
        missing = position - self.end
        if missing > 0:
            self.add(np.zeros(missing, np.float32), np.full(missing, self._places[-1]))
        elif missing < 0:
            kept = len(self._samples) + missing
            self._samples = np.concatenate([np.zeros(-missing, np.float32), self._samples[:kept]])
            self._places = np.concatenate([np.full(-missing, self._places[0]), self._places[:kept]])
            self.end = position
            self.sound_end = min(self.sound_end, position)

    def last(self, count: int) -> Samples:
        """The last frames `[count]`."""
        return self._samples[-count:]

    def place(self, position: int) -> int | None:
        """The position in the ring before the frame at `position`; None if that frame was not sent yet."""
        if position >= self.end:
            return None
        return int(self._places[position - self.end])

    def moved(self, place: int) -> None:
        """Playing goes on at another position of the ring, whatever was sent before."""
        self._places[:] = place
