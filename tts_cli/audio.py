"""Sound as a value: the rates every stage agrees on, and a stretch of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tts_cli.errors import ModelError
from tts_cli.segment import Segment

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono sound, shape `[n]`, nominally within ±1."""

SAMPLE_RATE: Final = 24_000
"""Samples a second of every engine here (Chatterbox's S3Gen and the built-in voice alike)."""
TOKEN_RATE: Final = 25
"""Speech tokens a second (S3 tokenizer v2). `--chunk` counts in tokens for every engine."""
SAMPLES_PER_TOKEN: Final = SAMPLE_RATE // TOKEN_RATE
FRAMES_PER_TOKEN: Final = 2
"""Mel frames a speech token (S3Gen upsamples its encoder's output twofold)."""
SAMPLES_PER_FRAME: Final = SAMPLES_PER_TOKEN // FRAMES_PER_TOKEN

AUDIBLE: Final = 10 ** (-60 / 20)
"""The level, -60 dB below full scale, from which a sample counts as heard."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of finished sound, ready to be played.

    Every engine's sound passes through here. A sample that is NaN or infinite raises `ModelError`, so that no device
    and no file gets it.

    Attributes
    ----------
    samples
        float32 mono `[n]`; nobody writes to it after the engine has let go of it.
    sample_rate
        Samples a second.
    segment
        The text that it is a part of.
    notice
        What a listener may want to know about it, such as why the segment ends here; usually empty.
    """

    samples: Samples
    sample_rate: int
    segment: Segment
    notice: str = ""

    def __post_init__(self) -> None:
        if not np.isfinite(self.samples).all():
            raise ModelError(
                "the engine computed samples that are not finite numbers",
                "try another --seed or --precision; if that does not help, its weights are damaged: pull them again",
            )

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.sample_rate


def as_samples(values: Any) -> Samples:
    """`values` as contiguous float32 mono, copied only where its type asks for it."""
    return np.ascontiguousarray(values, dtype=np.float32)


def to_pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    """Little-endian 16-bit PCM, rounded; what lies beyond full scale is clipped. One conversion for every output."""
    pcm: npt.NDArray[np.int16] = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    return pcm


def first_audible(samples: Samples) -> int | None:
    """Index of the first sample at or above `AUDIBLE`, or None where all is silence."""
    loud = np.abs(samples) >= AUDIBLE
    index = int(loud.argmax()) if len(loud) else 0
    return index if len(loud) and loud[index] else None


def raised_cosine(length: int) -> Samples:
    """A ramp from 0 to 1 over `length` samples; it and its mirror image sum to exactly one."""
    steps = (np.arange(length, dtype=np.float64) + 0.5) / max(length, 1)
    return as_samples(0.5 - 0.5 * np.cos(np.pi * steps))
