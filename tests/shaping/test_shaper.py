"""Chunks are shaped segment by segment, and everything that they carry stays with its sound."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shaping.sounds import RATE, voice
from tts_cli.audio import AudioChunk, Samples, SpokenWord
from tts_cli.segment import Segment
from tts_cli.shaping.shaper import Shape, Shaper

EACH = settings(max_examples=30)
SHAPES = st.builds(Shape, st.floats(0.5, 2), st.floats(-20, 20), st.booleans())
LENGTHS = st.lists(st.lists(st.integers(2, 6000), min_size=1, max_size=4), min_size=1, max_size=3)
"""For each segment, the lengths of its chunks."""


def chunks(lengths: list[list[int]]) -> list[AudioChunk]:
    """Chunks with a word that begins in the middle of each."""
    found = []
    for number, parts in enumerate(lengths):
        sound, segment, at = voice(1, number), Segment.of("So.", number), 0
        for part in parts:
            word = SpokenWord(0, 2, part / 2 / RATE, part / RATE)
            found.append(AudioChunk(sound[at : at + part], RATE, segment, words=(word,)))
            at += part
    return found


def shaped(given: list[AudioChunk], shape: Shape) -> list[AudioChunk]:
    shaper = Shaper(RATE, shape)
    return [*(each for chunk in given for each in shaper.add(chunk)), *shaper.rest()]


def by_segment(found: list[AudioChunk]) -> list[Samples]:
    groups = groupby(found, key=lambda chunk: chunk.segment.number)
    return [np.concatenate([chunk.samples for chunk in group]) for _, group in groups]


@EACH
@given(lengths=LENGTHS, shape=SHAPES)
def test_each_segment_is_as_long_as_it_should_be_and_independent_of_its_chunks(
    lengths: list[list[int]], shape: Shape
) -> None:
    found = shaped(chunks(lengths), shape)
    assert all(len(chunk.samples) for chunk in found)
    sounds = by_segment(found)
    assert [len(sound) for sound in sounds] == [round(sum(parts) / shape.speed) for parts in lengths]
    whole = by_segment(shaped(chunks([[sum(parts)] for parts in lengths]), shape))
    for sound, expected in zip(sounds, whole, strict=True):
        np.testing.assert_array_equal(sound, expected)


@EACH
@given(lengths=LENGTHS, speed=st.floats(0.5, 2))
def test_words_stay_where_they_are_heard(lengths: list[list[int]], speed: float) -> None:
    found, given = shaped(chunks(lengths), Shape(speed)), chunks(lengths)

    def times(which: list[AudioChunk]) -> list[float]:
        """When each word begins and ends, from the first sample of its segment."""
        there = []
        for _, group in groupby(which, key=lambda chunk: chunk.segment.number):
            at = 0.0
            for chunk in group:
                there += [at + time for word in chunk.words for time in (word.begin, word.end)]
                at += chunk.seconds
        return there

    assert times(found) == pytest.approx([time / speed for time in times(given)], abs=1e-6)


def test_a_notice_goes_on_with_the_sound() -> None:
    notices = [AudioChunk(chunk.samples, RATE, chunk.segment, "too long") for chunk in chunks([[100, 6000]])]
    assert [chunk.notice for chunk in shaped(notices, Shape(2))].count("too long") >= 1


def test_what_is_half_computed_is_heard_as_fast_as_the_sound() -> None:
    prepared = [AudioChunk(chunk.samples, RATE, chunk.segment, half_computed=3.0) for chunk in chunks([[6000, 6000]])]
    assert {chunk.half_computed for chunk in shaped(prepared, Shape(1.5))} == {2.0}


@EACH
@given(lengths=st.lists(st.integers(1, 6000), min_size=1, max_size=4))
def test_what_was_held_back_before_a_wait_is_the_end_of_the_sound(lengths: list[int]) -> None:
    shaper, given = Shaper(RATE, Shape(1.5, 3)), chunks([lengths])
    found = [each for chunk in given for each in shaper.add(chunk)] + shaper.rest()
    assert shaper.rest() == []
    np.testing.assert_array_equal(by_segment(found)[0], by_segment(shaped(given, Shape(1.5, 3)))[0])
