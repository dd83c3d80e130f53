"""A ring of samples between one writer and one reader, with nothing in it that could make the reader wait.

The reader is the audio callback: it may not allocate, lock, print or raise. Two counters that only ever grow are all
the shared state; each is written by one side alone, after the samples it speaks of are in place.
"""

from __future__ import annotations

import numpy as np

from tts_cli.audio import Samples


class Ring:
    """Holds up to `capacity` samples. One thread writes, one reads."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._data = np.zeros(capacity, np.float32)
        self._written = 0
        self._read = 0

    @property
    def available(self) -> int:
        """Samples that can be read now."""
        return self._written - self._read

    @property
    def space(self) -> int:
        """Samples that can be written now."""
        return self.capacity - self.available

    def write(self, samples: Samples) -> int:
        """Copy in as many samples as fit; how many did."""
        count = min(len(samples), self.space)
        start = self._written % self.capacity
        head = min(count, self.capacity - start)
        self._data[start : start + head] = samples[:head]
        self._data[: count - head] = samples[head:count]
        self._written += count
        return count

    def read(self, out: Samples) -> int:
        """Copy out as many samples as there are, `len(out)` at most; how many were. The rest of `out` stays."""
        count = min(len(out), self.available)
        start = self._read % self.capacity
        head = min(count, self.capacity - start)
        out[:head] = self._data[start : start + head]
        out[head:count] = self._data[: count - head]
        self._read += count
        return count
