"""Sounds that are somewhat like speech, and the ways to cut them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tts_cli.audio import Samples, as_samples

RATE = 24_000


def voice(seconds: float, seed: int = 0, pitch: float = 120.0) -> Samples:
    """Syllables with harmonics of a pitch that falls, and noise between them."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.3 * np.exp(-time))) / RATE
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time + rng.uniform(0, 6)), 0, 1)
    noise = rng.standard_normal(len(time)) * 0.02 * (1 - syllables)
    return as_samples(0.2 * harmonics * syllables + noise)


def loud(runs: list[tuple[int, float]]) -> Samples:
    """Noise of so many samples at such a power of ten, one run after the other."""
    rng = np.random.default_rng(len(runs))
    return as_samples(
        np.concatenate([np.zeros(0), *(10**power * rng.uniform(-1, 1, length) for length, power in runs)])
    )


RUNS = st.lists(st.tuples(st.integers(0, 700), st.floats(-6, 30)), max_size=6)


def pieces(samples: Samples, cuts: list[int]) -> list[Samples]:
    """The samples, cut at some places."""
    places = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    return [samples[begin:end] for begin, end in pairwise(places)]


def cuts(longest: int) -> Any:
    """Where to cut; often in one place several times, which gives empty pieces."""
    return st.lists(st.integers(0, longest), max_size=12)


def through(stage: Any, parts: list[Samples]) -> Samples:
    """What a stage makes of them."""
    return np.concatenate([*(stage.add(part) for part in parts), stage.finish()])
