"""Measures the pitch of speech: its fundamental frequency F0, by normalised cross-correlation."""

from __future__ import annotations

from typing import Final

import numpy as np

from tts_cli.audio import Samples
from tts_cli.distance import FRAMES_A_SECOND, Floats

LOWEST, HIGHEST = 60.0, 400.0
"""Hz; the range of F0."""
VOICED: Final = 0.6
"""Frames with a smaller correlation have no pitch."""
ALMOST: Final = 0.9
"""The shortest period counts whose correlation is this fraction of the largest, because multiples fit as well."""
QUIET: Final = 40.0
"""Frames that are quieter than the loudest by more than this, in dB, have no pitch."""


def pitch(samples: Samples, rate: int) -> Floats:
    """F0 in Hz of each frame of 20 ms `[n / frame]`; NaN where there is no pitch.

    Parameters
    ----------
    samples
        The sound `[n]`.
    rate
        Samples a second.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 150 * np.arange(24_000) / 24_000).astype(np.float32)
    >>> round(float(np.nanmedian(pitch(tone, 24_000))), 1)
    150.0
    """
    shortest, longest = int(rate / HIGHEST), int(rate / LOWEST)
    frame, part = rate // FRAMES_A_SECOND, 2 * longest
    count = len(samples) // frame
    if not count:
        return np.empty(0)
    padded = np.pad(samples.astype(np.float64), (part // 2, part + longest))
    stretches = np.lib.stride_tricks.sliding_window_view(padded, part + longest)[: count * frame : frame]
    correlations = _correlations(stretches, part, longest)
    best = correlations[:, shortest:].max(axis=1)
    # Of the local maxima, the first that is almost as large as the largest.
    inner = correlations[:, shortest:-1]
    peaks = (inner >= correlations[:, shortest - 1 : -2]) & (inner >= correlations[:, shortest + 1 :])
    high = peaks & (inner >= ALMOST * best[:, None])
    period = shortest + high.argmax(axis=1)
    before, at, after = (correlations[np.arange(count), period + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    offset = np.divide(0.5 * (before - after), bend, out=np.zeros(count), where=np.abs(bend) > 1e-12)
    levels = 10 * np.log10((stretches[:, :part] ** 2).mean(axis=1) + 1e-10)
    voiced = high.any(axis=1) & (best >= VOICED) & (levels > levels.max() - QUIET)
    return np.where(voiced, rate / (period + offset.clip(-0.5, 0.5)), np.nan)


def _correlations(stretches: Floats, part: int, longest: int) -> Floats:
    """The correlation of the first `part` samples with those up to `longest` later, over their norms `[n, lags]`."""
    size = 1 << (stretches.shape[1] + part).bit_length()
    spectrum = np.fft.rfft(stretches, size) * np.fft.rfft(stretches[:, :part], size).conj()
    products = np.fft.irfft(spectrum, size)[:, : longest + 1]
    energy = np.pad(stretches**2, ((0, 0), (1, 0))).cumsum(axis=1)
    norms = energy[:, part : part + longest + 1] - energy[:, : longest + 1]
    correlations: Floats = products / np.sqrt(norms * norms[:, :1]).clip(1e-12)
    return correlations


def compare(found: Samples, reference: Samples, rate: int) -> tuple[float, float]:
    """How far the pitch of two sounds of one length is apart.

    Parameters
    ----------
    found, reference
        Sounds, float32 `[n]`.
    rate
        Samples a second.

    Returns
    -------
    cents, voicing : float
        The median difference in cents (hundredths of a semitone) where both have a pitch; NaN where there is no such
        frame. The fraction of frames in which both have a pitch or neither has.
    """
    one, other = pitch(found, rate), pitch(reference, rate)
    both = ~np.isnan(one) & ~np.isnan(other)
    cents = np.abs(1200 * np.log2(one[both] / other[both]))
    voicing = np.isnan(one) == np.isnan(other)
    return float(np.median(cents)) if both.any() else float("nan"), float(voicing.mean()) if len(voicing) else 1.0
