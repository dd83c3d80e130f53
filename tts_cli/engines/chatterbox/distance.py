"""How far a streamed sound is from the whole one, and whether its joins can be told from any other place.

Two measures over finished samples, and a table of the first for the `context` strategy's two sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import SAMPLE_RATE, SAMPLES_PER_FRAME, Samples

if TYPE_CHECKING:
    from tts_cli.engines.chatterbox.decoder import S3GenDecoder, Tokens

Floats = npt.NDArray[np.float64]

FFT: Final = 1920
"""Samples of a mel frame's window: as S3Gen's own mel frames, 80 ms."""
BINS: Final = 80
TOP: Final = 8000.0
"""Hz; the mel bands end here."""
FLOOR: Final = 1e-4
"""Band magnitudes below this one are as good as silent."""


@cache
def _mel_bands(fft: int) -> Floats:
    """Triangles `[80, fft / 2 + 1]` spaced evenly in mel (O'Shaughnessy 1987: 2595 log10(1 + f / 700))."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + TOP / 700), BINS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(fft, 1 / SAMPLE_RATE)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    slopes = np.minimum((frequency - low) / (peak - low), (high - frequency) / (high - peak))
    bands: Floats = np.maximum(slopes, 0)
    total: Floats = bands.sum(axis=1, keepdims=True).clip(1e-9)
    bands /= total
    return bands


def _log_mel(stretches: npt.NDArray[np.float32]) -> Floats:
    """Levels in dB `[n, 80]` of stretches of sound `[n, fft]`."""
    window = np.hanning(stretches.shape[1] + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(stretches * window, axis=1)) / window.sum()
    levels: Floats = 20 * np.log10(np.maximum(spectrum @ _mel_bands(stretches.shape[1]).T, FLOOR))
    return levels


def log_mel(samples: Samples) -> Floats:
    """Mel levels in dB, `[n / 480, 80]`: one row for each 20 ms of sound, around its middle."""
    padded = np.pad(samples, (FFT - SAMPLES_PER_FRAME) // 2)
    if len(samples) < SAMPLES_PER_FRAME:
        return np.empty((0, BINS))
    return _log_mel(np.lib.stride_tricks.sliding_window_view(padded, FFT)[::SAMPLES_PER_FRAME])


def distance(found: Samples, reference: Samples) -> float:
    """Root mean square, in dB, of the difference between two sounds' mel levels."""
    return float(np.sqrt(np.mean((log_mel(found) - log_mel(reference)) ** 2)))


def chunk_distances(found: Samples, reference: Samples, joins: Sequence[int]) -> list[float]:
    """`distance` for each chunk: the stretches between `joins`, given in samples, and behind the last."""
    squares = (log_mel(found) - log_mel(reference)) ** 2
    frames = [0, *(join // SAMPLES_PER_FRAME for join in joins), len(squares)]
    return [float(np.sqrt(squares[start:stop].mean())) for start, stop in pairwise(frames) if stop > start]


@dataclass(frozen=True, slots=True)
class Seam:
    """How much more a sound jumps at its joins than elsewhere; 1.0: a join looks like any other place."""

    spectral: float
    """Mean change of mel levels from the 20 ms before to the 20 ms behind, joins against other places."""
    sample: float
    """From one sample to the next but one: the bend of the wave against its level nearby, likewise."""


def seam(samples: Samples, joins: Sequence[int]) -> Seam:
    """The seam score of a sound whose chunks join before the samples numbered `joins`.

    Both parts are 1.0 where there is no join that has 20 ms of sound on either side.
    """
    reach = SAMPLES_PER_FRAME
    inside = [join for join in joins if reach <= join <= len(samples) - reach]
    places = np.arange(reach, len(samples) - reach + 1, reach // 4)
    far = [int(place) for place in places if all(abs(place - join) > reach for join in inside)]
    if not inside or not far:
        return Seam(1.0, 1.0)
    at_joins, elsewhere = _jumps(samples, inside), _jumps(samples, far)
    spectral, sample = at_joins.mean(axis=0) / elsewhere.mean(axis=0).clip(1e-12)
    return Seam(float(spectral), float(sample))


def _jumps(samples: Samples, places: Sequence[int]) -> Floats:
    """Spectral and sample jump `[n, 2]` at each place."""
    reach = SAMPLES_PER_FRAME
    near = np.stack([samples[place - reach : place + reach] for place in places])
    spectral = np.sqrt(((_log_mel(near[:, reach:]) - _log_mel(near[:, :reach])) ** 2).mean(axis=1))
    # Bends that reach over the join: the second differences around its last and its first sample.
    bend = np.abs(np.diff(near[:, reach - 2 : reach + 2], n=2)).max(axis=1)
    level = np.sqrt((near.astype(np.float64) ** 2).mean(axis=1)) + FLOOR
    return np.stack((spectral, bend / level), axis=1)


def context_distances(
    decoder: S3GenDecoder,
    conditionals_gen: Mapping[str, Any],
    tokens: Tokens,
    windows: Sequence[int | None],
    lookaheads: Sequence[int],
    *,
    chunk: int = 10,
) -> dict[tuple[int | None, int], list[float]]:
    """The distance of `context` to `whole`, in dB for each chunk, by window and lookahead in tokens."""
    from tts_cli.engines.chatterbox.strategies import Context

    whole = decoder.whole(conditionals_gen, tokens)
    table = {}
    for window in windows:
        for lookahead in lookaheads:
            way = partial(Context, window=window, lookahead=lookahead)
            stream = decoder.stream(conditionals_gen, way)
            found = [stream.push(tokens[i : i + chunk]) for i in range(0, len(tokens), chunk)]
            found.append(stream.push([], final=True))
            joins = np.cumsum([len(each) for each in found if len(each)])[:-1].tolist()
            table[window, lookahead] = chunk_distances(np.concatenate(found), whole, joins)
    return table
