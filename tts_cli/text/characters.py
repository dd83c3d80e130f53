"""Replaces special characters by the common ones that they stand for."""

from __future__ import annotations

import unicodedata
from functools import partial


def plain(text: str, known: str = "") -> str:
    """`text` for a voice that knows few characters.

    - Compatibility forms are replaced by what they stand for (NFKC): `ﬁ`, `Ａ`, `㎏`, `①`.
    - Digits of any script become ASCII digits. Digits that do not continue a number, such as `⁴` and `❶`, get spaces
      around them, because `10⁴` is not 104.
    - Fractions such as `⅐` get spaces around them and an ordinary slash.
    - Combining marks are joined with their letters if there is such a character (NFC).
    - `İ` becomes `I`, because its lower case has two characters.

    Parameters
    ----------
    text
        Any text.
    known
        Characters that stay as they are.

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
    # NFKC turns a spacing accent into a space with a combining accent.
    return char if form.startswith(" ") and not char.isspace() else form
