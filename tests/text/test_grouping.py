"""What an engine that groups sentences is given at once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.engines.chatterbox import ENGINE, MAX_SECONDS
from tts_cli.metrics import Meter
from tts_cli.segment import MAX_CHARS, Segment
from tts_cli.segments import TextSegments
from tts_cli.text.pace import seconds
from tts_cli.text.sources import text_argument


def grouped(text: str) -> list[Segment]:
    """As Chatterbox has it."""
    segments = TextSegments(text_argument(text), Meter(), together=ENGINE.together)
    return list(iter(segments.take, None))


WORDS = st.sampled_from(["word", "9876543210", "$5", "40%,", "[laugh]", "So.", "and", "日本語", "12:45", "1" * 200])


@given(words=st.lists(WORDS, min_size=1, max_size=120))
def test_no_segment_takes_too_long_and_no_text_is_lost(words: list[str]) -> None:
    text = "One " + " ".join(words)
    given = grouped(text)
    assert all(len(segment.text) <= MAX_CHARS and seconds(segment.text) <= MAX_SECONDS for segment in given)
    assert [segment.number for segment in given] == list(range(len(given)))
    assert re.sub(r"\s", "", "".join(segment.text for segment in given)) == re.sub(r"\s", "", text)


@pytest.mark.parametrize("text", ["9876543210 " * 27, "9876543210" * 30, "$4.50, 12% of 33 " * 17])
def test_300_characters_of_digits_are_spoken_in_parts(text: str) -> None:
    """They take a minute or more, and an utterance can have 40 s."""
    *parts, last = grouped(f"\n\n{text.strip()}")
    assert len(parts) >= 3
    assert {part.ending for part in parts} <= {"clause", "cut"}
    assert last.ending == "line"
    assert not any(segment.new_paragraph for segment in (*parts[1:], last))


def test_the_paragraph_begins_with_its_first_part() -> None:
    before, first, *rest = grouped("Before.\n\n" + "9876543210 " * 27)
    assert before.text == "Before."
    assert first.new_paragraph
    assert not any(segment.new_paragraph for segment in rest)


def test_the_first_segments_are_short_so_that_the_next_ones_are_drawn_soon() -> None:
    lengths = [len(segment.text) for segment in grouped(" ".join(["It rains, and the wind blows."] * 60))]
    assert lengths[0] <= 100 < lengths[1] <= 150 < lengths[2] <= 225 < min(lengths[3:-1])
    long_sentence = "It rains, " + "and the wind blows, " * 12 + "and so on."
    assert grouped(f"{long_sentence} Stay in.")[0].text == long_sentence


def test_sentences_with_many_digits_are_not_spoken_together() -> None:
    sentence = "Call 9876543210 or 1234567890 now."
    assert [segment.text for segment in grouped(" ".join([sentence] * 3))] == [sentence] * 3
    plain = "Call one, or the other one."
    assert len(grouped(" ".join([plain] * 3))) == 1


def test_the_last_part_of_a_sentence_is_spoken_with_the_next() -> None:
    given = grouped("9876543210 " * 6 + "is long. Short.")
    assert len(given) > 1
    assert given[-1].text.endswith("is long. Short.")
    assert given[-1].ending == "sentence"


def test_an_engine_that_does_not_group_is_given_whole_sentences() -> None:
    text = "9876543210 " * 20 + "is long."
    segments = TextSegments(text_argument(text), Meter())
    assert [segment.text for segment in iter(segments.take, None)] == [text]


def test_the_rest_of_a_sentence_is_known_though_it_is_not_taken() -> None:
    text = "9876543210 " * 20 + "is long."
    segments = TextSegments(text_argument(text), Meter(), together=ENGINE.together)
    first = segments.take(wait=False)
    assert first is not None
    assert segments.waiting_characters == len(text) - 1
    assert not segments.sounds(first)
    assert segments.waiting_characters == len(text) - 1 - len(first.text)
    assert segments.take(wait=False) is not None
