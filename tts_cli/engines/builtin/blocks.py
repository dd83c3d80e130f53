"""Blocks of samples on their way from the model to chunks: silence is trimmed, and lengths are made equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np

from tts_cli.audio import AUDIBLE, Samples, as_samples, raised_cosine
from tts_cli.engines.builtin import SAMPLE_RATE

LEAD: Final = SAMPLE_RATE // 50
"""How many samples before the first audible one are kept, so that its onset is complete: 20 ms."""


def trim_silence(
    blocks: Iterable[Samples], pause: float, begins: Callable[[int], None] = lambda _: None
) -> Iterator[Samples]:
    """Drop the silence before a sentence, and put `pause` seconds after its last audible sample.

    Silence inside the sentence is held back until sound follows it. Blocks without sound give nothing.

    Parameters
    ----------
    blocks
        The sound of one sentence, float32 `[n]` each, at 24 kHz.
    pause
        Seconds. The sentence's own silence at its end fades out within them.
    begins
        Called before the first sample is given, with the number of samples that were dropped.

    Yields
    ------
    Samples
        Float32 `[n]`.

    Examples
    --------
    >>> silence, sound = np.zeros(4800, np.float32), np.ones(960, np.float32)
    >>> [len(samples) for samples in trim_silence([silence, sound], pause=0.1)]
    [1440, 2400]
    """
    started = False
    held = np.zeros(0, np.float32)
    taken = 0
    for block in blocks:
        taken += len(block)
        held = np.concatenate([held, block])
        loud = np.flatnonzero(np.abs(held) >= AUDIBLE)
        if not len(loud):
            held = held if started else held[-LEAD:]
            continue
        begin = 0 if started else max(0, int(loud[0]) - LEAD)
        end = int(loud[-1]) + 1
        if not started:
            begins(taken - len(held) + begin)
        started = True
        yield held[begin:end]
        held = held[end:]
    if started:
        tail = np.zeros(round(pause * SAMPLE_RATE), np.float32)
        kept = min(len(held), len(tail))
        tail[:kept] = held[:kept]
        tail[:kept] *= raised_cosine(kept)[::-1]
        yield tail


def rechunk(blocks: Iterable[Samples], length: int) -> Iterator[Samples]:
    """The same samples in chunks of `length`; the last may be shorter.

    Examples
    --------
    >>> [len(chunk) for chunk in rechunk([np.zeros(5, np.float32), np.zeros(4, np.float32)], 4)]
    [4, 4, 1]
    """
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= length:
            yield as_samples(held[:length])
            held = held[length:]
    if len(held):
        yield as_samples(held)
