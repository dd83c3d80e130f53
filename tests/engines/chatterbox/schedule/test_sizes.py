"""How many tokens each chunk has: always the same number after the first, or more and more."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from tts_cli.engines.chatterbox.schedule.sizes import FIRST, MOST, chunk_sizes


def first_sizes(chunk: int | None, soon: bool = True, first_segment: bool = True) -> list[int]:
    return list(islice(chunk_sizes(chunk, soon, first_segment), 20))


@pytest.mark.parametrize("first_segment", [True, False])
@pytest.mark.parametrize(("chunk", "first"), [(3, 3), (10, FIRST), (25, FIRST)])
def test_where_sound_is_wanted_soon_the_first_chunk_is_small(chunk: int, first: int, first_segment: bool) -> None:
    assert first_sizes(chunk, first_segment=first_segment) == [first] + [chunk] * 19


def test_otherwise_all_chunks_have_the_size_that_was_asked_for() -> None:
    assert first_sizes(25, soon=False) == [25] * 20


def test_chunks_of_the_first_segment_are_there_in_time_at_an_rtf_of_four_fifths() -> None:
    rtf = 0.8
    for playing, computed in pairwise(first_sizes(None)):  # a token is computed in `rtf` of the time that it is heard
        assert computed * rtf <= playing + 1


def test_chunks_of_later_segments_are_larger() -> None:
    first, later = first_sizes(None), first_sizes(None, first_segment=False)
    assert first[0] == later[0] == FIRST
    assert all(size < larger for size, larger in zip(first[1:15], later[1:15], strict=True))
    assert first[15:] == later[15:]
    assert later == sorted(later)
    assert later[-1] == MOST


@pytest.mark.parametrize("first_segment", [True, False])
def test_growing_chunks_begin_small_with_every_strategy(first_segment: bool) -> None:
    assert first_sizes(None, False, first_segment) == first_sizes(None, True, first_segment)
