"""Characters that are another way to write common ones, written as those."""

from __future__ import annotations

import unicodedata
from functools import partial


def plain(text: str, known: str = "") -> str:
    """`text` in the characters that a voice of few characters can read: those of `known` stay as they are.

    - Compatibility forms become what they stand for (NFKC): `ﬁ`, `Ａ`, `㎏`, `①`.
    - A digit of any script becomes an ASCII digit; one that does not continue a number, such as `⁴` and `❶`, stands
      apart from what is around it, since `10⁴` is not 104.
    - A fraction such as `⅐` stands apart as well, with an ordinary slash.
    - Marks become part of their letter where there is such a letter (NFC).
    - `İ` becomes `I`: it is the one letter whose lower case is two characters.

    Examples
    --------
    >>> plain("ﬁve ㎏, 10⁴")
    'five kg, 10 4 '
    """
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", "".join(map(partial(_plain, known=known), text)))
    return composed.replace("İ", "I")


def _plain(char: str, known: str) -> str:
    if char.isascii() or char in known:
        return char
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char.isdigit():
        return f" {unicodedata.digit(char)} "
    form = unicodedata.normalize("NFKC", char)
    if "⁄" in form:
        return f" {form.replace('⁄', '/')} "
    # A spacing accent would become a space and an accent on it.
    return char if form.startswith(" ") and not char.isspace() else form
