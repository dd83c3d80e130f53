"""All randomness of S3Gen, drawn by position: who asks for the noise of a mel frame or sample gets the same.

That is what makes joins possible: a frame decoded twice, in two windows, starts from the same noise twice.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.weights.config import MEL_BINS

BLOCK: Final = 1024
"""Positions drawn at a time: a window costs at most two blocks more than its length."""


class Noise(Protocol):
    """Where the flow starts from and what the vocoder's source is made of: float32 tensors on the CPU."""

    def prompt(self, frames: int) -> Tensor:
        """Normal `[80, frames]`: the start of the voice's own mel frames."""
        ...

    def mels(self, start: int, stop: int) -> Tensor:
        """Normal `[80, stop - start]`: the start of the utterance's mel frames from `start` to `stop`."""
        ...

    def phases(self, harmonics: int) -> Tensor:
        """Initial phases in radians, `[harmonics]`, uniform within ±π; the fundamental's is zero."""
        ...

    def source(self, harmonics: int, start: int, stop: int) -> Tensor:
        """Normal `[harmonics, stop - start]`: noise of the source's samples from `start` to `stop`."""
        ...


@dataclass(frozen=True, slots=True)
class SeededNoise:
    """Noise that a seed fixes, drawn in blocks keyed by seed, kind and block number."""

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
        first = start // BLOCK
        blocks = [
            torch.randn(rows, BLOCK, generator=self._generator(kind, number))
            for number in range(first, max(first + 1, math.ceil(stop / BLOCK)))
        ]
        return torch.cat(blocks, dim=1)[:, start - first * BLOCK : stop - first * BLOCK]

    def _generator(self, kind: str, block: int) -> torch.Generator:
        digest = hashlib.blake2b(f"{self.seed}:{kind}:{block}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


@dataclass(frozen=True, slots=True)
class GivenNoise:
    """Noise laid out in full beforehand, for comparisons with another implementation."""

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
