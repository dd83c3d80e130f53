"""Decides how much of a paragraph of Markdown can be spoken before the rest of it is written."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tts_cli.text.marks import CLOSING, HARD, SOFT

_MARK: Final = re.compile(r"\\.|`+|[*_]+|~~|<(?=[A-Za-z/!?]|\Z)|!?\[|\\\Z|\s", re.DOTALL)
_DEFINITION: Final = re.compile(r"\[(?!\^)(?:\\.|[^\]\\])*(?:\]:|\]?\Z)", re.DOTALL)
_BRACKET: Final = re.compile(r"\\.|[\[\]()]", re.DOTALL)
_UNFINISHED: Final = re.compile(r"(?:[*_~`\[\]!<&\\$]|&#?\w{1,31}|https?:\S*|www\.\S*)\Z", re.IGNORECASE)
_CLOSERS: Final = {
    "*": re.compile(r"\\.|(?<=[^\s*])\*+", re.DOTALL),
    "_": re.compile(r"\\.|(?<=[^\s_])_+(?!\w)", re.DOTALL),
    "~": re.compile(r"\\.|(?<=[^\s~])~+", re.DOTALL),
}
_POINT: Final = re.compile(rf"\n|[{SOFT}{HARD}][{CLOSING}]*\s|[{HARD}]")
_WITHOUT_POINT: Final = 512
_WITHOUT_SPACE: Final = 2048
_SPACE: Final = re.compile(r"\s")


def next_point(text: str, at: int) -> int | None:
    """The end of the line or sentence that begins at `at`. None before it is written. A very long one is cut.

    Examples
    --------
    >>> next_point("It rains. It pours.", 0)
    10
    """
    if len(text) == at:
        return None
    found = _POINT.search(text, at)
    ends = [found.end()] if found else []
    if not found or found.end() > at + _WITHOUT_POINT:
        space = _SPACE.search(text, at + _WITHOUT_POINT)
        ends += [space.end()] if space else []
        ends += [at + _WITHOUT_SPACE] if len(text) >= at + _WITHOUT_SPACE else []
    return min(ends, default=None)


class Cut(NamedTuple):
    """How much is known, and the mark after it that waits for its other half."""

    at: int
    waits_for: str = ""


def known_until(source: str, start: int, followed: bool) -> Cut:
    """How much of `source` has the same meaning, whatever follows: up to white space, or to its end.

    Parameters
    ----------
    source
        A paragraph, as far as it is written.
    start
        How much of it was known before.
    followed
        Whether white space follows it. If not, it may end in the middle of a mark or of a web address.

    Returns
    -------
    Cut
        `at` is an index in `source`, `start` or more, and the length of `source` at most.

    Examples
    --------
    >>> known_until("It rains. It **pours", 0, followed=True)
    Cut(at=12, waits_for='**')
    """
    if start == 0 and _DEFINITION.match(source):
        return Cut(0, "[")
    known = at = start
    while mark := _MARK.search(source, at):
        if mark[0].isspace():
            known, at = mark.start(), mark.end()
            continue
        end = _closed(source, mark)
        if end < 0:
            return Cut(known, mark[0])
        at = end
    return Cut(len(source) if followed or not _UNFINISHED.search(source, known) else known)


def _closed(source: str, mark: re.Match[str]) -> int:
    """The end of what `mark` opens. If it opens nothing, the end of the mark; -1 if the end is not written yet."""
    char, at = mark[0][0], mark.end()
    if mark[0] == "\\":
        return -1
    if char == "\\":
        return at
    if char == "`":
        found = re.compile(rf"(?<!`)`{{{len(mark[0])}}}(?!`)").search(source, at)
        return found.end() if found else -1
    if char == "<":
        return source.find(">", at) + 1 or -1
    if mark[0].endswith("["):
        return _bracket_end(source, at)
    after = source[at : at + 1]
    within_word = char == "_" and mark.start() > 0 and source[mark.start() - 1].isalnum()
    if not after or after.isspace() or within_word:
        return at
    closer = next((each for each in _CLOSERS[char].finditer(source, at) if each[0][0] == char), None)
    return closer.end() if closer else -1


def _bracket_end(source: str, at: int) -> int:
    """The end of the link whose text begins at `at`; -1 if it is not written yet."""
    depth, opening = 1, "["
    while found := _BRACKET.search(source, at):
        at = found.end()
        if found[0] == opening:
            depth += 1
        elif found[0] == {"[": "]", "(": ")"}[opening]:
            depth -= 1
            if depth == 0:
                after = source[at : at + 1]
                if opening == "(" or not after or after not in "[(":
                    return at
                opening, depth, at = after, 1, at + 1
    return -1
