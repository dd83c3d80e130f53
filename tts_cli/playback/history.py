"""The last values of a sequence that grows, and whose end may be cut off again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class History:
    """Stores the last values of a sequence. Positions count from its beginning.

    Parameters
    ----------
    length
        How many values are stored.
    dtype
        Their type.

    Attributes
    ----------
    end : int
        The position of the next value.

    Examples
    --------
    >>> sent = History(4, np.int64)
    >>> sent.add([5, 6, 7])
    >>> sent.cut(2, 0)
    >>> sent.end, sent.last(2).tolist(), sent.at(1), sent.at(2)
    (2, [5, 6], 6, None)
    """

    def __init__(self, length: int, dtype: npt.DTypeLike) -> None:
        self._values: npt.NDArray[Any] = np.zeros(length, dtype)
        self.end = 0

    def add(self, values: npt.ArrayLike) -> None:
        """Add values `[n]` at the end."""
        added = np.asarray(values, self._values.dtype)
        self._values = np.concatenate([self._values, added])[-len(self._values) :]
        self.end += len(added)

    def cut(self, position: int, filler: float) -> None:
        """Drop the values from `position` on. If there are fewer, add `filler` up to there."""
        missing = position - self.end
        if missing > 0:
            self.add(np.full(missing, filler))
        elif missing < 0:
            kept = self._values[: max(0, len(self._values) + missing)]
            self._values = np.concatenate([np.full(len(self._values) - len(kept), self._values[0]), kept])
            self.end = position

    def last(self, count: int) -> npt.NDArray[Any]:
        """The last values `[count]`."""
        return self._values[-count:]

    def at(self, position: int) -> Any:
        """The value at a position: None if it is still to come, the oldest one if it is not stored any more."""
        if position >= self.end:
            return None
        return self._values[max(position - self.end, -len(self._values))].item()

    def overwrite(self, value: float) -> None:
        """Set all values."""
        self._values[:] = value
