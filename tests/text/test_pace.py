"""How long a text takes to speak."""

from __future__ import annotations

import pytest

import tts_cli
from tts_cli.text.pace import seconds


def test_digits_and_symbols_take_as_long_as_their_words() -> None:
    assert seconds("7 % of 50") > seconds("seven % of") > seconds("a % of") > seconds("a x of")
    for char in "7½%&@#/+=€°":
        assert seconds(char) == seconds("percents")
    for char in "a,.-('`é":
        assert seconds(char) == seconds("a")
    assert seconds("日本") == seconds("abcdef")


@pytest.mark.parametrize(
    "text",
    [
        "Nobody knew where the letters had come from, but everyone agreed that they came from the same careful hand.",
        "In 1987 they sold 4310 of 9876, and 36 more in 2012; the other 5530 were lost.",
        "That makes 3524190 to 9876543210, or 45,810,231.",
        "It is 40 % + 30 % = 70 %, at 25 ° or more.",
    ],
)
def test_the_built_in_voice_takes_about_as_long_at_its_own_pace(text: str) -> None:
    """It speaks a quarter faster than calm speech."""
    spoken = sum(chunk.seconds for chunk in tts_cli.stream(text, engine="builtin", pause=0))
    assert 0.75 < seconds(text) / (spoken * 1.25) < 1.4
