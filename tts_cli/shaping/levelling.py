"""Brings speech to one loudness, slowly: the gain follows the loudness of all that was spoken so far."""

from __future__ import annotations

from typing import Final

import numpy as np

from tts_cli.audio import Samples, as_samples
from tts_cli.shaping.loudness import HOP_SECONDS, Loudness
from tts_cli.shaping.volume import factor

TARGET: Final = -16.0
"""LUFS, as podcasts and audiobooks have."""
SLOPE: Final = 6.0
"""dB a second: the fastest that the gain changes. What changes so slowly is not heard as a change."""
START: Final = 6.0
"""dB: the gain at the beginning, when nothing is known. Right for speech of -22 LUFS; most speech is within 6 dB."""
MOST: Final = 20.0
"""dB: the greatest gain and the greatest loss. More would only bring up noise."""


class Levelling:
    """Brings sound to `TARGET`. It holds nothing back: a gain depends on the sound before it.

    Parameters
    ----------
    rate
        Samples a second.

    Examples
    --------
    >>> levelling = Levelling(24_000)
    >>> levelling.add(np.zeros(2, np.float32)).tolist()
    [0.0, 0.0]
    """

    def __init__(self, rate: int) -> None:
        self._loudness = Loudness(rate)
        self._hop = np.zeros(self._loudness.hop, np.float32)
        self._filled = 0
        self._decibels = START  # at the end of this hop
        self._gains = np.full(self._loudness.hop, factor(START))

    def add(self, samples: Samples) -> Samples:
        """The next samples `[n]` with their gain."""
        out = np.empty(len(samples), np.float32)
        done = 0
        while done < len(samples):
            count = min(len(samples) - done, len(self._hop) - self._filled)
            here, now = slice(done, done + count), slice(self._filled, self._filled + count)
            self._hop[now] = samples[here]
            out[here] = samples[here] * self._gains[now]
            done += count
            self._filled += count
            if self._filled == len(self._hop):
                self._next_hop()
        return as_samples(out)

    def finish(self) -> Samples:
        """Nothing."""
        return np.zeros(0, np.float32)

    def _next_hop(self) -> None:
        self._filled = 0
        self._loudness.add(self._hop)
        loudness = self._loudness.integrated
        if loudness is None:
            return
        begin, most = self._decibels, SLOPE * HOP_SECONDS
        goal = float(np.clip(TARGET - loudness, -MOST, MOST))
        self._decibels = begin + float(np.clip(goal - begin, -most, most))
        steps = np.arange(1, len(self._hop) + 1) / len(self._hop)
        self._gains = factor(begin) * factor(self._decibels - begin) ** steps
