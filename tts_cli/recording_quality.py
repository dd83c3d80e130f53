"""Judges a recording of somebody who reads: is it long, loud, clear and quiet enough for a voice?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tts_cli.audio import AUDIBLE, Samples

LOUD: Final = 0.98
"""The amplitude from which a sample may be clipped."""
CLIPPED: Final = 0.001
"""More of the samples than this at `LOUD` are heard as distortion."""
QUIET: Final = -42.0
"""Speech below this level, in dB of full scale, is too quiet: a recording's noise is then heard with it."""
CLEAR: Final = 20.0
"""How many dB speech should be above what is heard in its pauses."""
SHORTEST: Final = 5.0
"""Seconds of speech, with the pauses within it, that a voice needs."""
FRAME_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a recording.

    Parameters
    ----------
    message
        What is wrong, and what to do.
    fatal
        Whether no voice can be made of it.
    """

    message: str
    fatal: bool


def level(samples: Samples) -> float:
    """The loudness of some samples in dB of full scale; -100 for silence.

    Examples
    --------
    >>> level(np.zeros(960, np.float32))
    -100.0
    """
    if not len(samples):
        return -100.0
    return max(-100.0, 20 * float(np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-12)))


def faults(samples: Samples, rate: int) -> list[Fault]:
    """What is wrong with a recording, the worst first.

    Parameters
    ----------
    samples
        Mono, float32 `[n]`.
    rate
        Samples a second.
    """
    if not len(samples) or np.abs(samples).max() < AUDIBLE:
        return [Fault("nothing is heard: is the microphone muted, or another one meant (--input-device)?", True)]
    length = max(1, round(FRAME_SECONDS * rate))
    whole = samples[: len(samples) // length * length].reshape(-1, length)
    loudness = np.array([level(frame) for frame in whole])
    noise, speech = float(np.percentile(loudness, 5)), float(np.percentile(loudness, 90))
    heard = np.flatnonzero(loudness > max(speech - 25, noise + 3))
    spoken = (heard[-1] - heard[0] + 1) * FRAME_SECONDS if len(heard) else 0.0
    found = []
    clipped = float((np.abs(samples) >= LOUD).mean())
    if clipped > CLIPPED:
        found.append(Fault(f"clipping: {clipped:.1%} of it is at full scale; lower the level or move away", True))
    if spoken <= SHORTEST:
        found.append(Fault(f"too short: {spoken:.1f} s of speech; read on to the end of the text", True))
    if speech < QUIET:
        found.append(Fault(f"too quiet: {speech:.0f} dB; raise the level or come nearer", False))
    if speech - noise < CLEAR:
        found.append(Fault(f"noise: speech is only {speech - noise:.0f} dB above it; choose a quieter place", False))
    return found
