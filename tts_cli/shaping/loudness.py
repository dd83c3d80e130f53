"""Measures the loudness of all sound so far, as ITU-R BS.1770 does, while it comes.

Libraries measure a sound that is complete, or need the time for every sample that a filter in Python would take. Here
the filter is applied to hops of 100 ms by FFT, and the blocks are counted in classes, so that a sound of any length
takes the same memory.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples

Polynomial: TypeAlias = tuple[float, float, float]

HOP_SECONDS: Final = 0.1
HOPS_IN_BLOCK: Final = 4
ABSOLUTE_GATE: Final = -70.0
"""LUFS. Quieter blocks do not count."""
RELATIVE_GATE: Final = -10.0
"""LU. Blocks that are quieter than the mean of all others by more than this do not count either."""
CLASSES_IN_LU: Final = 10
CLASSES: Final = 100 * CLASSES_IN_LU
"""From the absolute gate up to 30 LUFS."""


class Loudness:
    """The integrated loudness of a mono sound.

    Parameters
    ----------
    rate
        Samples a second.

    Attributes
    ----------
    hop : int
        Samples in a hop of 100 ms.

    Examples
    --------
    >>> loudness = Loudness(24_000)
    >>> tone = np.sin(2 * np.pi * 997 * np.arange(48_000) / 24_000).astype(np.float32)
    >>> for hop in tone.reshape(-1, loudness.hop):
    ...     loudness.add(hop)
    >>> round(loudness.integrated, 1)
    -3.0

    References
    ----------
    ITU-R BS.1770-5, "Algorithms to measure audio programme loudness and true-peak audio level", 2023.
    """

    def __init__(self, rate: int) -> None:
        self.hop = round(HOP_SECONDS * rate)
        self._weighting = k_weighting(rate, 2 * self.hop)
        self._before = np.zeros(self.hop)
        self._powers: list[float] = []
        self._counts = np.zeros(CLASSES)
        self._sums = np.zeros(CLASSES)

    def add(self, hop: Samples) -> None:
        """Take the next hop `[hop]`."""
        both = np.concatenate([self._before, hop])
        self._before = both[self.hop :]
        # The filter's response is shorter than a hop, so the second half is what filtering the whole sound would give.
        weighted = np.fft.irfft(np.fft.rfft(both) * self._weighting, len(both))[self.hop :]
        self._powers = [*self._powers[-HOPS_IN_BLOCK + 1 :], float(np.mean(np.square(weighted)))]
        power = sum(self._powers) / HOPS_IN_BLOCK
        if len(self._powers) == HOPS_IN_BLOCK and (level := lufs(power)) >= ABSOLUTE_GATE:
            number = min(int((level - ABSOLUTE_GATE) * CLASSES_IN_LU), CLASSES - 1)
            self._counts[number] += 1
            self._sums[number] += power

    @property
    def integrated(self) -> float | None:
        """In LUFS; None while no block has counted."""
        if not self._counts.any():
            return None
        gate = lufs(self._sums.sum() / self._counts.sum()) + RELATIVE_GATE
        first = max(0, int((gate - ABSOLUTE_GATE) * CLASSES_IN_LU))
        return lufs(self._sums[first:].sum() / self._counts[first:].sum())


def lufs(power: float) -> float:
    """The loudness of a mean square of weighted samples."""
    return float(-0.691 + 10 * np.log10(max(power, 1e-12)))


def k_weighting(rate: int, size: int) -> npt.NDArray[np.complex128]:
    """The K-weighting's response `[size / 2 + 1]` to the frequencies of an FFT of `size` samples."""
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(len(turn), np.complex128)
    for zeros, poles in k_filters(rate):
        response *= np.polyval(zeros[::-1], turn) / np.polyval(poles[::-1], turn)
    return response


def k_filters(rate: int) -> tuple[tuple[Polynomial, Polynomial], tuple[Polynomial, Polynomial]]:
    """The coefficients of the shelf and of the high-pass: above and below the line, from the newest sample back.

    The standard gives them for 48 kHz. These are made from the analogue filters that give those numbers.
    """
    bend, top, quality = np.tan(np.pi * 1681.974450955533 / rate), 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle = top**0.4996667741545416 * bend / quality
    size, poles = _poles(bend, quality)
    shelf = ((top + middle + bend**2) / size, 2 * (bend**2 - top) / size, (top - middle + bend**2) / size)
    _, low = _poles(np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773)
    return (shelf, poles), ((1.0, -2.0, 1.0), low)


def _poles(bend: float, quality: float) -> tuple[float, Polynomial]:
    size = 1 + bend / quality + bend**2
    return size, (1.0, 2 * (bend**2 - 1) / size, (1 - bend / quality + bend**2) / size)
