"""Decides how many speech tokens each chunk of an utterance has.

A chunk costs the flow about the same time whether it has 5 or 10 tokens, because the weights are read once and the past
is attended to once. So large chunks cost less for each token, and small ones give sound earlier. The sizes do not
depend on time, so that the same seed always gives the same sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Final

FIRST: Final = 7
"""Tokens of the first chunk: three are the flow's lookahead, and the sound of the other four comes at once."""
SECOND: Final = 10
"""Tokens of the second chunk, if chunks grow."""
GROWTH: Final = 1.25
"""Each later chunk has as many times the tokens of the one before. So it is there in time up to an RTF of 0.8."""
MOST: Final = 25
"""The most tokens of a chunk that grows: 1 s of sound, and as many as the flow decodes at once."""


def chunk_sizes(chunk: int | None, soon: bool) -> Iterator[int]:
    """Tokens of each chunk, without end.

    Parameters
    ----------
    chunk
        Tokens in a chunk; None for chunks that grow from `FIRST` to `MOST`.
    soon
        Whether the first chunk has at most `FIRST` tokens. Where chunks grow, it always has `FIRST`.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(chunk_sizes(10, soon=True), 3)), list(islice(chunk_sizes(10, soon=False), 3))
    ([7, 10, 10], [10, 10, 10])
    >>> list(islice(chunk_sizes(None, soon=True), 8))
    [7, 10, 12, 15, 19, 24, 25, 25]
    """
    if chunk is not None:
        yield min(chunk, FIRST) if soon else chunk
        yield from repeat(chunk)
    else:
        yield FIRST
        size = float(SECOND)
        while size < MOST:
            yield int(size)
            size *= GROWTH
        yield from repeat(MOST)
