"""A ring of samples between one writer and one reader, in which the reader never waits.

The reader is the thread of an `Output`, which must not be late. The two sides share two counters. Each counter is
written by one side only, after the samples that it counts are in place. A position is the number of samples written
before it.
"""

from __future__ import annotations

import numpy as np

from tts_cli.audio import Samples


class Ring:
    """Stores samples that wait to be read, and those that were read last.

    Parameters
    ----------
    capacity
        How many samples may wait.
    history
        How many samples stay after they were read, so that the reader can move back to them.

    Attributes
    ----------
    moves : int
        How often the reader has moved.

    Examples
    --------
    >>> ring = Ring(capacity=4)
    >>> ring.write(np.ones(6, np.float32))
    4
    >>> ring.read(np.zeros(3, np.float32)), ring.available
    (3, 1)
    """

    def __init__(self, capacity: int, history: int = 0) -> None:
        self.capacity = capacity
        self._size = capacity + history
        self._data = np.zeros(self._size, np.float32)
        self.moves = 0
        self._written = 0
        self._read = 0
        self._wanted: int | None = None
        self._lost = 0
        """Samples before this position were overwritten by some that were taken back."""

    @property
    def available(self) -> int:
        """Samples that can be read now."""
        return self._written - self._read

    @property
    def space(self) -> int:
        """Samples that can be written now."""
        read, wanted = self._read, self._wanted
        waiting = self._written - (read if wanted is None else min(read, wanted))
        return max(0, self.capacity - waiting)

    @property
    def written(self) -> int:
        """The position of the next sample to be written."""
        return self._written

    @property
    def position(self) -> int:
        """The position of the next sample to be read."""
        return self._read

    @property
    def goal(self) -> int:
        """The position that the reader has been asked to move to, or else that of the next sample to be read."""
        return self._read if self._wanted is None else self._wanted

    @property
    def oldest(self) -> int:
        """The position of the oldest sample that is still here."""
        return max(self._lost, self._written - self._size)

    def write(self, samples: Samples) -> int:
        """Copy in as many of `samples` `[n]` as fit; return how many that were."""
        count = min(len(samples), self.space)
        start = self._written % self._size
        head = min(count, self._size - start)
        self._data[start : start + head] = samples[:head]
        self._data[: count - head] = samples[head:count]
        self._written += count
        return count

    def take_back(self, position: int, least: int) -> bool:
        """Take the samples from `position` on out again. Called by the writer's side.

        Returns False, and does nothing, if fewer than `least` samples would be left to be read, or if the reader has
        been asked to move.
        """
        if self._wanted is not None or position - self._read < least:
            return False
        self._lost = self.oldest
        self._written = position
        return True

    def read(self, out: Samples) -> int:
        """Copy as many samples to the beginning of `out` `[n]` as there are, and return how many that were."""
        count = min(len(out), self.available)
        start = self._read % self._size
        head = min(count, self._size - start)
        out[:head] = self._data[start : start + head]
        out[head:count] = self._data[: count - head]
        self._read += count
        return count

    def unread(self, count: int) -> None:
        """Move the reader back by `count` samples, which it has just read. Called by the reader; needs a history."""
        self._read -= count

    def want(self, position: int) -> int:
        """Ask the reader to move to `position`, or to the nearest one that is stored; return where it will move.

        Called by the writer's side while nothing is being written. The samples after that position stay until the
        reader has moved.
        """
        self._wanted = target = min(max(position, self.oldest), self._written)
        return target

    def move(self) -> bool:
        """Move to where `want` asked for; return whether it asked. Called by the reader."""
        wanted = self._wanted
        if wanted is None:
            return False
        self._read = wanted
        self.moves += 1
        self._wanted = None
        return True

    @property
    def moving(self) -> bool:
        """Whether the reader has been asked to move and has not moved yet."""
        return self._wanted is not None
