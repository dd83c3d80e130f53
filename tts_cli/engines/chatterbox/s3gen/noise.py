"""Draws the noise of S3Gen by position: the noise of a mel frame or a sample is always the same.

So a frame that is decoded in two chunks begins with the same noise in both, and the chunks can be joined.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.weights.config import MEL_BINS

DRAWN: Final = 1024
"""How many positions are drawn together, as one part. A range of positions needs all parts that it touches."""


class Noise(Protocol):
    """The noise of one utterance, for the flow and for the vocoder's source: float32 tensors on the CPU."""

    def prompt(self, frames: int) -> Tensor:
        """What the mel frames of the voice begin as: normal, `[80, frames]`."""
        ...

    def mels(self, start: int, stop: int) -> Tensor:
        """What the mel frames `start` to `stop` of the utterance begin as: normal, `[80, stop - start]`."""
        ...

    def phases(self, harmonics: int) -> Tensor:
        """The initial phases of the harmonics in radians: uniform within ±π, `[harmonics]`. The first is 0."""
        ...

    def source(self, harmonics: int, start: int, stop: int) -> Tensor:
        """Draw the noise in the source of the vocoder.

        Parameters
        ----------
        harmonics
            How many harmonics the source has.
        start, stop
            The first sample of the utterance, and the one after the last.

        Returns
        -------
        Tensor
            Normal, float32 `[harmonics, stop - start]`.
        """
        ...


@dataclass(frozen=True, slots=True)
class SeededNoise:
    """Noise that a seed fixes.

    It is drawn in parts of `DRAWN` positions. Each part has a generator of its own, whose seed is made of `seed`, the
    kind of noise and the number of the part.

    Examples
    --------
    >>> noise = SeededNoise(7)
    >>> torch.equal(noise.mels(0, 50)[:, 20:], noise.mels(20, 50))
    True
    """

    seed: int = 0

    def prompt(self, frames: int) -> Tensor:
        """See `Noise`."""
        return self._normal("prompt", MEL_BINS, 0, frames)

    def mels(self, start: int, stop: int) -> Tensor:
        """See `Noise`."""
        return self._normal("mels", MEL_BINS, start, stop)

    def phases(self, harmonics: int) -> Tensor:
        """See `Noise`."""
        phases = (2 * torch.rand(harmonics, generator=self._generator("phases", 0)) - 1) * math.pi
        phases[0] = 0.0
        return phases

    def source(self, harmonics: int, start: int, stop: int) -> Tensor:
        """See `Noise`."""
        return self._normal("source", harmonics, start, stop)

    def _normal(self, kind: str, rows: int, start: int, stop: int) -> Tensor:
        first = start // DRAWN
        parts = [
            torch.randn(rows, DRAWN, generator=self._generator(kind, number))
            for number in range(first, max(first + 1, math.ceil(stop / DRAWN)))
        ]
        return torch.cat(parts, dim=1)[:, start - first * DRAWN : stop - first * DRAWN]

    def _generator(self, kind: str, part: int) -> torch.Generator:
        digest = hashlib.blake2b(f"{self.seed}:{kind}:{part}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


@dataclass(frozen=True, slots=True)
class GivenNoise:
    """Noise that is given as tensors, for comparisons with another implementation."""

    prompt_noise: Tensor
    """`[80, prompt frames]`"""
    mel_noise: Tensor
    """`[80, frames]`"""
    phase: Tensor
    """`[harmonics]`"""
    source_noise: Tensor
    """`[harmonics, samples]`"""

    def prompt(self, frames: int) -> Tensor:
        """See `Noise`."""
        return self.prompt_noise[:, :frames]

    def mels(self, start: int, stop: int) -> Tensor:
        """See `Noise`."""
        return self.mel_noise[:, start:stop]

    def phases(self, harmonics: int) -> Tensor:
        """See `Noise`."""
        return self.phase[:harmonics]

    def source(self, harmonics: int, start: int, stop: int) -> Tensor:
        """See `Noise`."""
        return self.source_noise[:harmonics, start:stop]
