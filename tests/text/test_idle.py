"""A writer who drips: what is spoken in its pauses. The time is a number here, so nothing waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.text.idle import Idle
from tts_cli.text.splitting import split
from tts_cli.text.stream import SpeakableSentences

Pieces = Callable[[str], "list[str]"]

TEXT = (
    "Pi is 3.14159, e.g. 1,000 of the U.S. say so at 5 p.m. today. Dr. J. Foo [clear throat] agrees: hello!\n"
    "1. Mr. Smith-Jones isn't in No. 10... is he? See www.example.com, or write to a.b@c.org.\n"
    "It's 10:30\n\nThat's £5.50 or ½ of it.\n"
)


def drip(pieces: list[str], pause: float, idle: float = 0.7) -> list[str]:
    """What is spoken where so many seconds pass after each of `pieces`."""
    sentences, waiting, now = SpeakableSentences(300), Idle(idle, 0.0), 0.0
    said = []
    for piece in pieces:
        said += sentences.feed(piece)
        waiting.arrived(now)
        now += pause
        while patience := waiting.take(now):
            said += sentences.pause(patience)
    return [sentence.text for sentence in said + sentences.rest()]


def characters(text: str) -> list[str]:
    return list(text)


def words(text: str) -> list[str]:
    """Each with the white space after it."""
    return re.findall(r"\S+\s*", text)


def halves_of_words(text: str) -> list[str]:
    return [half for word in words(text) for half in (word[: len(word) // 2], word[len(word) // 2 :]) if half]


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


@pytest.mark.parametrize("pieces", [characters, halves_of_words, words, lines])
def test_a_writer_who_never_pauses_for_long_is_spoken_as_one_who_does_not_pause(pieces: Pieces) -> None:
    assert drip(pieces(TEXT), 0.69) == drip([TEXT], 0)


@pytest.mark.parametrize("pause", [0.7, 1.99, 2.0, 4.99])
@pytest.mark.parametrize("pieces", [characters, halves_of_words, words, lines])
def test_a_pause_parts_no_word_no_number_and_nothing_from_what_it_belongs_to(pieces: Pieces, pause: float) -> None:
    said = drip(pieces(TEXT), pause)
    assert " ".join(said) == " ".join(TEXT.split()), "cut only where white space is"
    for before, _ in pairwise(said):
        assert not before.endswith(("e.g.", "Dr.", "J.", "Mr.", "1.", "[clear")), said


@pytest.mark.parametrize("pieces", [characters, halves_of_words])
def test_a_short_pause_parts_no_sentence_whose_end_is_not_shown_by_a_mark(pieces: Pieces) -> None:
    text = "The cost is 3.14 in the U.S. today\nIt rose to 1,000 then. And fell, e.g. here.\n"
    assert drip(pieces(text), 0.7) == [sentence.text for sentence in split(text, 300)]


def test_words_come_when_they_are_written_where_each_is_followed_by_a_pause() -> None:
    assert drip(words("one two 3.5 four. "), 2.0) == ["one", "two", "3.5", "four."]


def test_lines_without_marks_come_when_they_are_written() -> None:
    log = ["12:30:01 INFO worker 3 has taken job 17 from the queue of jobs to be done\n"] * 3
    assert drip(log, 2.0) == [line.strip() for line in log]


def test_the_last_word_waits_longest() -> None:
    assert drip(["Say hel", "lo"], 4.9) == ["Say", "hello"]
    assert drip(["Say hello"], 5.0) == ["Say", "hello"]


def test_a_tag_that_was_begun_waits_for_its_end() -> None:
    assert drip(["Hm [clear", " throat] yes "], 3600) == ["Hm", "[clear throat] yes"]


@given(st.floats(0.001, 100), st.floats(0, 200))
def test_nothing_is_due_sooner_than_asked_and_each_once(idle: float, pause: float) -> None:
    waiting = Idle(idle, 1000.0)
    due = []
    while patience := waiting.take(1000 + pause):
        due.append(patience)
    assert due == ["sentences", "words", "all"][: len(due)]
    assert not due or pause >= idle * 0.999
    left = waiting.left(1000 + pause)
    assert (left is None) == (len(due) == 3)
    assert left is None or left > 0
    waiting.arrived(2000)
    assert waiting.left(2000) == pytest.approx(idle)
    assert waiting.take(2000) is None


def test_nothing_is_ever_due_where_it_is_switched_off() -> None:
    waiting = Idle(0, 0)
    assert waiting.left(1e9) is None
    assert waiting.take(1e9) is None


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.text("ab1. ,\n!?[]。é", max_size=8), st.sampled_from([0.0, 0.7, 2.0, 5.0])), max_size=12),
)
def test_no_pause_loses_anything(steps: list[tuple[str, float]]) -> None:
    sentences, waiting = SpeakableSentences(300), Idle(0.7, 0)
    said = []
    for piece, pause in steps:
        said += sentences.feed(piece)
        waiting.arrived(0)
        while patience := waiting.take(pause):
            said += sentences.pause(patience)
    said += sentences.rest()
    written = "".join(piece for piece, _ in steps)
    spoken = "".join(sentence.text for sentence in said)
    assert [c for c in spoken if c.isalnum()] == [c for c in written if c.isalnum()]
