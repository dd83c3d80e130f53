"""Sound as a value: samples and chunks, and the rate in which `--chunk` counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tts_cli.errors import ModelError
from tts_cli.segment import Segment

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono sound: float32 `[n]`, nominally within ±1."""

TOKEN_RATE: Final = 25
"""Speech tokens a second. `--chunk` counts in tokens of 40 ms for every engine, also for one that has none."""

AUDIBLE: Final = 10 ** (-60 / 20)
"""The amplitude from which a sample counts as audible: 60 dB below full scale."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a segment, and when it is heard.

    Attributes
    ----------
    start, stop
        Its first character in the text of the segment, and the one after its last.
    begin, end
        Seconds from the first sample of the chunk that it comes with. The word may lie in another chunk.
    """

    start: int
    stop: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Sound that an engine gives at once, ready to be played.

    Parameters
    ----------
    samples
        float32 mono `[n]`. Nothing writes to it after the engine has given it.
    sample_rate
        Samples a second.
    segment
        The segment that the sound is a part of.
    notice
        What is wrong with the sound, such as that the segment was stopped before its end; usually empty.
    words
        The words whose times have become known, each once in a segment. An engine that does not know any gives none.
    half_computed
        Seconds of sound after this chunk for which the engine has done half of the work, such as drawn their speech
        tokens. It is an estimate, from which the pre-buffer forecasts how fast the rest will be computed.

    Raises
    ------
    ModelError
        If a sample is NaN or infinite. No device and no file gets such a sample.

    Examples
    --------
    >>> AudioChunk(np.zeros(960, np.float32), 24_000, Segment.of("Hello.")).seconds
    0.04
    """

    samples: Samples
    sample_rate: int
    segment: Segment
    notice: str = ""
    words: tuple[SpokenWord, ...] = ()
    half_computed: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.samples).all():
            raise ModelError(
                "the engine computed samples that are not finite numbers",
                "try another text; if that does not help, the engine or its weights are damaged: install them again",
            )

    @property
    def seconds(self) -> float:
        """The length of the sound."""
        return len(self.samples) / self.sample_rate


def as_samples(values: Any) -> Samples:
    """`values` as a contiguous float32 array. It is copied only if it is something else."""
    return np.ascontiguousarray(values, dtype=np.float32)


def to_pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    """Little-endian 16-bit PCM `[n]`, rounded. Samples beyond full scale are clipped. Every output uses this.

    Examples
    --------
    >>> to_pcm16(as_samples([0, 0.5, -2])).tolist()
    [0, 16384, -32767]
    """
    pcm: npt.NDArray[np.int16] = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    return pcm


def first_audible(samples: Samples) -> int | None:
    """The index of the first sample at or above `AUDIBLE`, or None if there is none."""
    loud = np.abs(samples) >= AUDIBLE
    index = int(loud.argmax()) if len(loud) else 0
    return index if len(loud) and loud[index] else None


def raised_cosine(length: int) -> Samples:
    """A ramp `[length]` from 0 to 1. It and its mirror image add up to one at every sample.

    Examples
    --------
    >>> [round(value, 2) for value in raised_cosine(2).tolist()]
    [0.15, 0.85]
    """
    steps = (np.arange(length, dtype=np.float64) + 0.5) / max(length, 1)
    return as_samples(0.5 - 0.5 * np.cos(np.pi * steps))
