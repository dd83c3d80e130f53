"""An experiment: how the distance of `context` to `whole` depends on its window and its lookahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tts_cli.distance import chunk_distances
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder, Tokens
from tts_cli.engines.chatterbox.s3gen.strategies import Context
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE


def context_distances(
    decoder: S3GenDecoder,
    conditionals_gen: Mapping[str, Any],
    tokens: Tokens,
    windows: Sequence[int | None],
    lookaheads: Sequence[int],
    *,
    chunk: int = 10,
) -> dict[tuple[int | None, int], list[float]]:
    """Measure the distance of `context` to `whole`.

    Parameters
    ----------
    decoder
        The decoder.
    conditionals_gen
        The voice: upstream's `Conditionals.gen`.
    tokens
        The tokens of the utterance.
    windows, lookaheads
        The sizes to try, in tokens.
    chunk
        Tokens in a chunk.

    Returns
    -------
    dict
        For each window and lookahead the distance of each chunk, in dB.
    """
    whole = decoder.whole(conditionals_gen, tokens)
    table = {}
    for window in windows:
        for lookahead in lookaheads:
            way = partial(Context, window=window, lookahead=lookahead)
            stream = decoder.stream(conditionals_gen, way)
            found = [stream.push(tokens[i : i + chunk]) for i in range(0, len(tokens), chunk)]
            found.append(stream.push([], final=True))
            joins = np.cumsum([len(each) for each in found if len(each)])[:-1].tolist()
            table[window, lookahead] = chunk_distances(np.concatenate(found), whole, joins, SAMPLE_RATE)
    return table
