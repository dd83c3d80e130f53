"""Estimates how long a text takes to speak."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from tts_cli.text.marks import CJK

LETTERS_PER_SECOND: Final = 15.0
"""The pace of calm speech, spaces and pauses included. Audiobooks have about 155 words a minute (ACX, which sells them,
counts 9300 words an hour), and an English word has about 6 characters with its space."""
LETTERS_PER_DIGIT: Final = 8
"""Numbers are spoken as words. The built-in voice speaks 19 letters a second. With it, each digit of a number of one to
four digits took 0.29 to 0.39 s (6 or 7 letters), and of a longer number 0.48 to 0.54 s (9 or 10)."""
LETTERS_PER_SYMBOL: Final = 8
"""Symbols such as `%`, `+`, `=` and `#` are spoken as words, too: 0.3 to 0.5 s each."""
LETTERS_PER_CJK: Final = 3
"""A character of a script without spaces is about a syllable. Mandarin has 5.2 syllables a second, Japanese 7.8
(Pellegrino, Coupé and Marsico, "Across-Language Perspective on Speech Information Rate", Language 87, 2011)."""

_CJK: Final = re.compile(f"[{CJK}]")
_SPOKEN_MARKS: Final = "%‰&@#/§"
"""Symbols that Unicode counts as punctuation."""
_QUOTE: Final = "`"
"""Punctuation that Unicode counts as a symbol."""


def seconds(text: str) -> float:
    """Seconds that `text` takes to speak, approximately.

    Examples
    --------
    >>> seconds("fifteen letters")
    1.0
    >>> seconds("123456789012345")
    8.0
    """
    return sum(map(_letters, text)) / LETTERS_PER_SECOND


@lru_cache(maxsize=4096)
def _letters(char: str) -> int:
    """How many letters take as long as `char`."""
    if _CJK.match(char):
        return LETTERS_PER_CJK
    category = unicodedata.category(char)
    if category.startswith("N"):
        return LETTERS_PER_DIGIT
    if char in _SPOKEN_MARKS or (category.startswith("S") and char != _QUOTE):
        return LETTERS_PER_SYMBOL
    return 1
