"""The words of the built-in voice are where its model says, also where one written word is several spoken ones."""

from __future__ import annotations

from itertools import pairwise

from tts_cli import load
from tts_cli.engines.builtin.words import spoken_words


def test_each_word_is_told_once_in_order_and_inside_the_sound() -> None:
    text = "Dr. Smith paid $9.99 on the 3rd of March, didn't he?"
    with load("builtin") as session:
        chunks = list(session.stream(text))
    words = [word for chunk in chunks for word in chunk.words]
    assert [text[word.start : word.stop] for word in words] == text.split()
    assert all(one.begin < one.end <= other.begin for one, other in pairwise(words))
    assert words[-1].end <= sum(chunk.seconds for chunk in chunks)
    assert words[3].end - words[3].begin > 1  # nine dollars and ninety nine cents


def test_words_around_those_that_cannot_be_told_apart_are_known() -> None:
    spoken = [(start, start + 50) for start in range(0, 500, 100)]
    words = spoken_words("It costs 5% and more", spoken, lambda _: 3)
    assert [(word.start, round(24_000 * word.begin)) for word in words] == [(0, 0), (3, 100), (12, 300), (16, 400)]
    assert spoken_words("It costs too much", spoken, lambda _: 1) == ()
