"""Makes sound louder or quieter, and never clips: a limiter turns loud moments down, and nothing else."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples, as_samples

CEILING: Final = 10 ** (-1 / 20)
"""The limiter keeps samples within this: 1 dB below full scale. Resampling and lossy formats may add a little."""
BLOCK_SECONDS: Final = 0.005
"""The limiter turns down within this time, before the loud moment comes."""
RELEASE_SECONDS: Final = 0.25
"""How long it takes at most until the limiter has let go."""
RAMP_SECONDS: Final = 0.02
"""How long another volume takes to be reached."""


def factor(decibels: float) -> float:
    """What amplitudes are multiplied by.

    Examples
    --------
    >>> factor(-20)
    0.1
    """
    return float(10 ** (decibels / 20))


class Volume:
    """Changes the volume of one sound after the other. One thread calls `add` and `finish`.

    The limiter divides the sound into blocks of 5 ms. The gain at the edge between two blocks keeps both below
    `CEILING`, and within a block it changes evenly. So no sample exceeds `CEILING`, and the gain is one, exactly, where
    the limiter has nothing to do. It holds back at most 10 ms of sound.

    Parameters
    ----------
    rate
        Samples a second.
    decibels
        How much louder the sound becomes; negative: quieter.

    Attributes
    ----------
    decibels
        Any thread may set it while sound comes. The new volume is reached within 20 ms.

    Examples
    --------
    >>> volume = Volume(24_000, decibels=20)
    >>> loud = np.concatenate([volume.add(np.full(1000, 0.5, np.float32)), volume.finish()])
    >>> len(loud), bool(abs(loud).max() <= CEILING)
    (1000, True)
    """

    def __init__(self, rate: int, decibels: float = 0.0) -> None:
        self.decibels = decibels
        self._block = round(BLOCK_SECONDS * rate)
        self._release = self._block / (RELEASE_SECONDS * rate)
        self._ramp = round(RAMP_SECONDS * rate)
        self._held = np.zeros(0)
        self._aim = self._factor = factor(decibels)
        self._step = 0.0  # how much the factor changes from sample to sample
        self._gain = 1.0  # the limiter's, at the beginning of the held sound

    def add(self, samples: Samples) -> Samples:
        """Take the next samples `[n]`, and give those of the result that are known."""
        self._held = np.concatenate([self._held, self._louder(samples)])
        count = len(self._held) // self._block - 1  # the block after a block decides about its end
        if count < 1:
            return np.zeros(0, np.float32)
        blocks = self._held[: (count + 1) * self._block].reshape(-1, self._block)
        self._held = self._held[count * self._block :]
        return self._limited(blocks[:-1], _allowed(blocks))

    def finish(self) -> Samples:
        """Give the rest. The next samples are those of another sound."""
        length = len(self._held)
        blocks = np.pad(self._held, (0, -length % self._block)).reshape(-1, self._block)
        self._held = np.zeros(0)
        if not length:
            return np.zeros(0, np.float32)
        allowed = _allowed(blocks)
        return self._limited(blocks, np.append(allowed, allowed[-1]))[:length]

    def _louder(self, samples: Samples) -> npt.NDArray[np.float64]:
        goal = factor(self.decibels)
        if goal != self._aim:
            self._aim, self._step = goal, (goal - self._factor) / self._ramp
        if self._factor == goal:
            return samples.astype(np.float64) * goal
        way = self._factor + self._step * np.arange(1, len(samples) + 1)
        way = np.minimum(way, goal) if self._step > 0 else np.maximum(way, goal)
        self._factor = float(way[-1]) if len(way) else self._factor
        louder: npt.NDArray[np.float64] = samples * way
        return louder

    def _limited(self, blocks: npt.NDArray[np.float64], allowed: npt.NDArray[np.float64]) -> Samples:
        """Blocks `[n, block]` with gains that are at most those `[n + 1]` that each block and the next one allow."""
        gains = np.empty(len(allowed))
        gains[0] = self._gain = min(self._gain, float(allowed[0]))
        for number, most in enumerate(np.minimum(allowed[:-1], allowed[1:]).tolist(), 1):
            gains[number] = self._gain = min(self._gain + self._release, most)
        if gains.min() == 1:
            return as_samples(blocks.reshape(-1))
        within = np.arange(self._block) / self._block
        ramps = gains[:-1, None] + (gains[1:] - gains[:-1])[:, None] * within
        return as_samples((blocks * ramps).reshape(-1))


def _allowed(blocks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The greatest gain, at most one, with which each block stays below the ceiling."""
    gains: npt.NDArray[np.float64] = np.minimum(1.0, CEILING / np.maximum(np.abs(blocks).max(axis=1), CEILING))
    return gains
