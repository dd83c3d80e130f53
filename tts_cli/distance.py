"""Two measures of streamed sound: its distance to the same sound computed whole, and how much its seams stand out.

Both are calculated from finished samples. A frame is 20 ms of sound at `rate` samples a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import Samples

Floats = npt.NDArray[np.float64]

FRAMES_A_SECOND: Final = 50
WINDOW_FRAMES: Final = 4
"""Frames in the window of a mel frame: 80 ms, as in S3Gen."""
BINS: Final = 80
TOP: Final = 8000.0
"""Hz; the mel bands end here."""
FLOOR: Final = 1e-4
"""Band magnitudes below this one count as this one."""


def frame_of(rate: int) -> int:
    """Samples in a frame of 20 ms."""
    return rate // FRAMES_A_SECOND


@cache
def _mel_bands(fft: int, rate: int) -> Floats:
    """Triangles `[80, fft / 2 + 1]` spaced evenly in mel (O'Shaughnessy 1987: 2595 log10(1 + f / 700))."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + TOP / 700), BINS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(fft, 1 / rate)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    slopes = np.minimum((frequency - low) / (peak - low), (high - frequency) / (high - peak))
    bands: Floats = np.maximum(slopes, 0)
    total: Floats = bands.sum(axis=1, keepdims=True).clip(1e-9)
    bands /= total
    return bands


def _log_mel(stretches: npt.NDArray[np.float32], rate: int) -> Floats:
    """Mel levels in dB `[n, 80]` of stretches of sound `[n, fft]`."""
    window = np.hanning(stretches.shape[1] + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(stretches * window, axis=1)) / window.sum()
    levels: Floats = 20 * np.log10(np.maximum(spectrum @ _mel_bands(stretches.shape[1], rate).T, FLOOR))
    return levels


def log_mel(samples: Samples, rate: int) -> Floats:
    """Mel levels in dB `[n / frame, 80]` of samples `[n]`: one row for each frame, centred on its middle."""
    frame = frame_of(rate)
    window = WINDOW_FRAMES * frame
    padded = np.pad(samples, (window - frame) // 2)
    if len(samples) < frame:
        return np.empty((0, BINS))
    return _log_mel(np.lib.stride_tricks.sliding_window_view(padded, window)[::frame], rate)


def distance(found: Samples, reference: Samples, rate: int) -> float:
    """The root mean square of the difference between the mel levels of two sounds, in dB.

    Parameters
    ----------
    found, reference
        Samples `[n]`, as many of one as of the other.
    rate
        Samples a second of both.

    Returns
    -------
    float
        In dB; 0 for equal sounds.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    >>> round(distance(noise, noise / 2, 24_000), 2)
    6.02
    """
    return float(np.sqrt(np.mean((log_mel(found, rate) - log_mel(reference, rate)) ** 2)))


def chunk_distances(found: Samples, reference: Samples, joins: Sequence[int], rate: int) -> list[float]:
    """Measure each chunk of a sound alone.

    Parameters
    ----------
    found, reference
        Sounds `[n]`.
    joins
        The indices of the samples at which all chunks but the first begin.
    rate
        Samples a second.

    Returns
    -------
    list of float
        `distance` of each chunk, in dB. Chunks shorter than a frame are left out.
    """
    squares = (log_mel(found, rate) - log_mel(reference, rate)) ** 2
    frames = [0, *(join // frame_of(rate) for join in joins), len(squares)]
    return [float(np.sqrt(squares[start:stop].mean())) for start, stop in pairwise(frames) if stop > start]


@dataclass(frozen=True, slots=True)
class Seam:
    """How much more a sound changes at its seams than elsewhere. 1.0 means that a seam is like any other place."""

    spectral: float
    """The mean change of mel levels from the 20 ms before to the 20 ms after, at seams over elsewhere."""
    sample: float
    """The largest second difference of samples, relative to the level around it, at seams over elsewhere."""


def seam(samples: Samples, joins: Sequence[int], rate: int) -> Seam:
    """Score the seams of a sound.

    Parameters
    ----------
    samples
        The sound `[n]`.
    joins
        The indices of the samples at which all chunks but the first begin. Those without 20 ms of sound on both sides
        are left out.
    rate
        Samples a second.

    Returns
    -------
    Seam
        Both parts are 1.0 if no seam is left.
    """
    reach = frame_of(rate)
    inside = [join for join in joins if reach <= join <= len(samples) - reach]
    places = np.arange(reach, len(samples) - reach + 1, reach // 4)
    far = [int(place) for place in places if all(abs(place - join) > reach for join in inside)]
    if not inside or not far:
        return Seam(1.0, 1.0)
    at_joins, elsewhere = _jumps(samples, inside, rate), _jumps(samples, far, rate)
    spectral, sample = at_joins.mean(axis=0) / elsewhere.mean(axis=0).clip(1e-12)
    return Seam(float(spectral), float(sample))


def _jumps(samples: Samples, places: Sequence[int], rate: int) -> Floats:
    """The spectral change and the change of samples `[n, 2]` at each place."""
    reach = frame_of(rate)
    near = np.stack([samples[place - reach : place + reach] for place in places])
    spectral = np.sqrt(((_log_mel(near[:, reach:], rate) - _log_mel(near[:, :reach], rate)) ** 2).mean(axis=1))
    # The second differences that reach across the seam.
    bend = np.abs(np.diff(near[:, reach - 2 : reach + 2], n=2)).max(axis=1)
    level = np.sqrt((near.astype(np.float64) ** 2).mean(axis=1)) + FLOOR
    return np.stack((spectral, bend / level), axis=1)
