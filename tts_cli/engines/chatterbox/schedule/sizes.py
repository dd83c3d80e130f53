"""Decides how many speech tokens each chunk of a segment has.

A chunk costs the flow about the same time whether it has 5 or 10 tokens, because the weights are read once and the past
is attended to once. So large chunks cost less for each token, and small ones give sound earlier. The sizes do not
depend on time, so that the same seed always gives the same sound.

The tokens of the first segment come hardly faster than its sound is heard, and a large chunk would wait for them. So
its chunks grow slowly. T3 draws later segments before they are heard, so their chunks are soon large.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Final

FIRST: Final = 7
"""Tokens of the first chunk: three are the flow's lookahead, and the sound of the other four comes at once."""
FIRST_SEGMENT: Final = (FIRST, 10, 12, *[15] * 8, *[20] * 4, 25)
"""Tokens of the chunks of the first segment; all after these have as many as the last."""
LATER_SEGMENTS: Final = (FIRST, 15, 25)
"""The same for the other segments. 25 tokens are as many as the flow decodes at once."""
MOST: Final = max(FIRST_SEGMENT + LATER_SEGMENTS)
"""The most tokens of a chunk whose size is not asked for."""


def chunk_sizes(chunk: int | None, soon: bool, first_segment: bool) -> Iterator[int]:
    """Tokens of each chunk of a segment, without end.

    Parameters
    ----------
    chunk
        Tokens in a chunk; None for `FIRST_SEGMENT` and `LATER_SEGMENTS`.
    soon
        Whether the first chunk has at most `FIRST` tokens. Where `chunk` is None, it always has `FIRST`.
    first_segment
        Whether the segment is the first of its text.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(chunk_sizes(10, True, True), 3)), list(islice(chunk_sizes(10, False, True), 3))
    ([7, 10, 10], [10, 10, 10])
    >>> list(islice(chunk_sizes(None, True, True), 5)), list(islice(chunk_sizes(None, True, False), 5))
    ([7, 10, 12, 15, 15], [7, 15, 25, 25, 25])
    """
    if chunk is not None:
        return chain([min(chunk, FIRST) if soon else chunk], repeat(chunk))
    sizes = FIRST_SEGMENT if first_segment else LATER_SEGMENTS
    return chain(sizes, repeat(sizes[-1]))
