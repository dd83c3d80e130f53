"""Decides where to cut a sentence that is too long to be spoken at once."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from tts_cli.segment import Ending
from tts_cli.text.marks import OPEN_TAG

_CLAUSE: Final = re.compile(r"[,;:](?=\s)|[，、；：،؛—–]|\s-(?=\s)")


class Cut(NamedTuple):
    """Where a sentence ends, and how. Without an ending, the sentence is known to have no end before `at`."""

    at: int
    ending: Ending | None = None


def best_cut(text: str, start: int, limit: int) -> Cut:
    """Find where to cut a sentence that is too long.

    After the last clause mark in the second half. If there is none, at the last space. If there is none, anywhere but
    inside a tag or inside a character of several code points.

    Parameters
    ----------
    text
        Longer than `limit`.
    start
        Where the sentence begins in `text`.
    limit
        Where it is cut at the latest. Both are indices.

    Returns
    -------
    Cut
        The index of the cut, and the ending of the part before it.

    Examples
    --------
    >>> best_cut("one two, three", 0, 10)
    Cut(at=8, ending='clause')
    """
    half = start + (limit - start) // 2
    found = _CLAUSE.finditer(text, max(half - 1, start), limit + 1)
    clauses = [clause.end() for clause in found if clause.end() <= limit]
    if clauses:
        cut = clauses[-1]
    else:
        spaces = (at for at in range(limit, start, -1) if text[at].isspace())
        cut = next(spaces, 0) or _between_characters(text, start, limit)
    tag = OPEN_TAG.search(text, max(start, cut - 32), cut)
    if tag and tag.start() > start:
        return Cut(tag.start(), "cut")
    return Cut(cut, "clause" if clauses else "cut")


def _between_characters(text: str, start: int, limit: int) -> int:
    """The last place up to `limit` that does not split a character, if one is within 32 code points; else `limit`."""
    for cut in range(limit, max(start, limit - 32), -1):
        if not _joined(text, start, cut):
            return cut
    return limit


def _joined(text: str, start: int, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if before == "\u200d" or after == "\u200d" or unicodedata.category(after) in {"Mn", "Me", "Mc"}:
        return True
    # Skin tones, and the tag characters of regional flags.
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    if _is_flag_half(after):
        halves = 0
        while at - halves > start and _is_flag_half(text[at - halves - 1]):
            halves += 1
        return halves % 2 == 1
    return "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
