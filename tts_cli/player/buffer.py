"""Samples that wait to be played, and can be replaced."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # no Python before 3.14 can take the type of the items while it runs
    Floats = memoryview[float]


class PlayBuffer:
    """A ring of float32 samples. One thread reads, another one writes and replaces.

    Parameters
    ----------
    size
        How many samples may wait.
    fade
        How many samples are faded out before replaced samples.

    Attributes
    ----------
    read : int
        The position of the next sample to be read: how many were read so far.
    end : int
        The position after the last sample.
    dry : int
        How often samples ran out while they were read.

    Examples
    --------
    >>> from array import array
    >>> buffer = PlayBuffer(8, fade=2)
    >>> buffer.write(memoryview(array("f", [1, 1, 1, 1])))
    >>> buffer.replace(memoryview(array("f", [0, 0])))
    2
    >>> block = array("f", [9] * 4)
    >>> buffer.play(memoryview(block), channels=1)
    >>> [round(sample, 2) for sample in block]
    [0.85, 0.15, 0.0, 0.0]
    """

    def __init__(self, size: int, fade: int) -> None:
        self.read = self.end = self.dry = 0
        self._size = size
        self._data = memoryview(bytearray(4 * size)).cast("f")
        self._fade = fade
        self._is_dry = True  # before the first sample, too
        self._lock = threading.Lock()

    def write(self, samples: Floats) -> None:
        """Add samples `[n]` at the end."""
        with self._lock:
            self._put(samples)

    def replace(self, samples: Floats) -> int:
        """Put samples `[n]` in the place of those that wait, after a fade. Return their position."""
        with self._lock:
            length = min(self.end - self.read, self._fade)
            for step in range(length):  # a raised cosine, as in `tts_cli.audio`, which needs NumPy
                level = 0.5 + 0.5 * math.cos(math.pi * (step + 0.5) / length)
                self._data[(self.read + step) % self._size] *= level
            begin = self.end = self.read + length
            self._put(samples)
            return begin

    def play(self, out: Floats, channels: int) -> None:
        """Fill a block, in real time. Silence stands for samples that have not come.

        Parameters
        ----------
        out
            The block: `[frames · channels]`, interleaved.
        channels
            How many channels it has. All get the same sound.
        """
        with self._lock:
            wanted = len(out) // channels
            count = min(wanted, self.end - self.read)
            start = self.read % self._size
            head = min(count, self._size - start)
            for channel in range(channels):
                out[channel : head * channels : channels] = self._data[start : start + head]
                out[head * channels + channel : count * channels : channels] = self._data[: count - head]
            out[count * channels :] = memoryview(bytes(4 * (len(out) - count * channels))).cast("f")
            self.read += count
            self.dry += count < wanted and not self._is_dry
            self._is_dry = count < wanted

    def _put(self, samples: Floats) -> None:
        if self.end - self.read + len(samples) > self._size:
            raise OverflowError("more samples than the buffer takes")
        start = self.end % self._size
        head = min(len(samples), self._size - start)
        self._data[start : start + head] = samples[:head]
        self._data[: len(samples) - head] = samples[head:]
        self.end += len(samples)
