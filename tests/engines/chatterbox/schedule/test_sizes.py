"""How many tokens each chunk has: always the same number after the first, or more and more."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from tts_cli.engines.chatterbox.schedule.sizes import FIRST, GROWTH, MOST, SECOND, chunk_sizes


def first_sizes(chunk: int | None, soon: bool = True) -> list[int]:
    return list(islice(chunk_sizes(chunk, soon), 12))


@pytest.mark.parametrize(("chunk", "first"), [(3, 3), (10, FIRST), (25, FIRST)])
def test_where_sound_is_wanted_soon_the_first_chunk_is_small(chunk: int, first: int) -> None:
    assert first_sizes(chunk) == [first] + [chunk] * 11


def test_otherwise_all_chunks_have_the_size_that_was_asked_for() -> None:
    assert first_sizes(25, soon=False) == [25] * 12


def test_chunks_grow_so_slowly_that_each_is_there_in_time_at_an_rtf_of_four_fifths() -> None:
    sizes = first_sizes(None)
    assert sizes[:2] == [FIRST, SECOND]
    assert sizes[-1] == MOST
    later = list(pairwise(sizes[1:]))
    assert all(size <= following <= size * GROWTH + 1 for size, following in later)
    rtf = 0.8
    for playing, computed in later:  # a token is computed in `rtf` of the time that it is heard
        assert computed * rtf <= playing + 1


def test_growing_chunks_begin_small_with_every_strategy() -> None:
    assert first_sizes(None, soon=False) == first_sizes(None, soon=True)
