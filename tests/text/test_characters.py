"""What the built-in voice is given to read."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.given import Given
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.engines.builtin import VOICE
from tts_cli.engines.builtin.engine import BuiltinEngine
from tts_cli.text.characters import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Plain text, 3.14!", "Plain text, 3.14!"),
        ("ﬁne Ａｂｃ １２３ ㎏ №", "fine Abc 123 kg No"),
        ("١٢٣ and ४", "123 and 4"),
        ("¹:30", " 1 :30"),
        ("10⁴ H₂O ❶ ⑴", "10 4  H 2 O  1   1 "),
        ("3⅐", "3 1/7 "),
        ("don´t", "don´t"),
        ("cafe\u0301 a\u00a0b", "café a b"),
        ("你好 ｶﾞ", "你好 ガ"),
    ],
)
def test_other_ways_to_write_a_character(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_what_a_voice_knows_stays() -> None:
    assert plain("x² ½ µm…", "²½µ…") == "x² ½ µm…"


@given(st.text())
def test_plain_text_stays_plain_and_loses_no_letter(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert not any(char.isdigit() and not char.isascii() for char in once)
    whole = unicodedata.normalize("NFKC", text)
    assert sum(map(str.isalnum, once)) >= sum(map(str.isalnum, whole))


@pytest.fixture(scope="module")
def builtin() -> BuiltinEngine:
    return BuiltinEngine(EngineSettings())


@pytest.mark.parametrize("text", ["¹:30", "a ¹U b", "❶U", "a 𑁚U b", "፩th"])
def test_digits_that_are_not_decimal_are_spoken(builtin: BuiltinEngine, text: str) -> None:
    assert list(builtin.stream(Given(text), VOICE, SpeakOptions()))


@pytest.mark.parametrize("number", ["{}.5", "-{}", "${}", "{}th", "{}%", "{},123", "{}", "{} km", "{}e400"])
@pytest.mark.parametrize("digits", [36, 37, 290])
def test_a_number_without_a_name_is_spoken(builtin: BuiltinEngine, number: str, digits: int) -> None:
    assert builtin.phonemes(number.format("9" * digits))


def test_digits_of_a_number_without_a_name_are_read_one_by_one(builtin: BuiltinEngine) -> None:
    assert builtin.phonemes(f"{'1,234,' * 5}{'1' * 17}.5") == builtin.phonemes(f"{'1 2 3 4 ' * 5}{'1 ' * 16}1.5")


@pytest.mark.parametrize("letter", ["\u0130", "I\u0307"], ids=["one character", "with a combining dot"])
@pytest.mark.parametrize("text", ["{}", "a {} b", "3{}", "{}stanbul"])
def test_a_letter_whose_lower_case_is_two_is_spoken(builtin: BuiltinEngine, text: str, letter: str) -> None:
    assert builtin.phonemes(text.format(letter)) == builtin.phonemes(text.format("I"))


NUMBERS = "".join(chr(code) for code in range(0x80, 0x20000) if chr(code).isnumeric() and not 0x3400 <= code < 0xA000)


@settings(max_examples=500)
@given(
    st.text(
        st.one_of(st.sampled_from(NUMBERS), st.sampled_from("aUZ 0159.,:-/$%€£#'°thkm"), st.characters()), max_size=40
    )
)
def test_the_voices_library_takes_every_text(builtin: BuiltinEngine, text: str) -> None:
    builtin.phonemes(text)
