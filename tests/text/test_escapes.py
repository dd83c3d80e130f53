"""Terminal escape sequences are not spoken, wherever the text that holds them is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.text.escapes import EscapeFilter
from tts_cli.text.sources import text_argument

SEQUENCES = [
    *("\x1b[0m", "\x1b[1;31m", "\x1b[38:2:1:2:3m", "\x1b[?25l", "\x1b[2 q", "\x9b31m"),  # CSI
    *("\x1b]0;a title\x07", "\x1b]8;;https://x.y/z\x1b\\", "\x9d0;a title\x9c"),  # OSC
    *("\x1bP1$r0m\x1b\\", "\x90q#0~~@@\x9c", "\x1b_Ga=T;AAAA\x1b\\", "\x1b^a\x1b\\", "\x1bXa\x1b\\"),  # strings
    *("\x1bOP", "\x1bNa", "\x8fa", "\x1b(B", "\x1b#8", "\x1b7", "\x1bc", "\x1b="),  # keys, character sets, modes
    *("\x1b", "\x1b\x1b", "\x07", "\x08", "\x7f", "\x84", "\x1b[\x18", "\x1b]a\x1a", "\x1b[1"),  # alone, or broken off
]
WORDS = ["Hello", " ", "wörld.", "\n", "你好。", "\t", "[laugh]", "3.14", "\r\n", "\x85", "😀"]
# A sequence that is broken off takes nothing but itself from these.
ENDED = ["\x1b", "\x1b\x1b", "\x1b[1", "\x1b]0;a title", "\x9b", "\x90"]


def without(*pieces: str) -> str:
    escapes = EscapeFilter()
    return "".join(escapes.feed(piece) for piece in pieces)


@given(st.lists(st.sampled_from(SEQUENCES[:-9] + WORDS)))
def test_only_the_sequences_go(parts: list[str]) -> None:
    assert without("".join(parts)) == "".join(part for part in parts if part in WORDS)


@settings(max_examples=300)
@given(st.lists(st.one_of(st.sampled_from(SEQUENCES + WORDS), st.text(max_size=5))).map("".join), st.data())
def test_the_cut_into_pieces_does_not_matter(text: str, data: st.DataObject) -> None:
    whole = without(text)
    assert without(*text) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    assert without(*(text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))) == whole
    assert not any(char in whole for char in "\x00\x07\x08\x1b\x7f\x9b")


@pytest.mark.parametrize("open_sequence", ENDED)
def test_what_is_not_ended_ends_with_its_line(open_sequence: str) -> None:
    assert without(f"One.{open_sequence}\nTwo.") == "One.\nTwo."


@given(st.text())
def test_text_without_control_characters_passes(text: str) -> None:
    plain = "".join(char for char in text if char.isprintable())
    assert without(plain) == plain


def test_a_coloured_word_is_spoken_whole() -> None:
    source = text_argument("The \x1b[1mqu\x1b[0mick fox\x1b]8;;http://a.b\x1b\\ jumps\x1b]8;;\x1b\\.")
    sentence = source.next_sentence(lambda: None)
    assert sentence is not None
    assert sentence.text == "The quick fox jumps."
