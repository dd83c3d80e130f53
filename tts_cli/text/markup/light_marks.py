"""Finds emphasis and links in text that may be Markdown: only those that cannot be anything else.

- Emphasis in pairs of marks, such as `**bold**` and `*word*`, with white space or punctuation around the pair. In
  `2 * 3 * 4`, `snake_case_name`, `f(*args, **kwargs)`, `*.py` and `__init__`, the marks stay.
- `[text](url)`, of which the text is spoken. The same is true for an image.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tts_cli.text.marks import CJK

LONGEST: Final = 1000
"""The most characters of a link or an emphasis."""
MARK: Final = re.compile(r"\*+|_+|!?\[|!\Z")
"""Where an emphasis or a link may begin."""

_JOINED: Final = re.compile(rf"(?![{CJK}])[\w\\]")
"""No emphasis ends before such a character. CJK characters have no spaces between them."""
_JOINED_BEFORE: Final = re.compile(rf"{_JOINED.pattern}|[/=&@]")
"""No emphasis begins after such a character. Some of these occur in addresses."""
_INNER_BEGIN: Final = re.compile(r"[\w\"'“‘«¿¡(\[$£€`*]")
_INNER_END: Final = re.compile(r"[\w\"'”’»?!.,;:…%)\]`*。！？、，；：」』）]")
_NAME: Final = re.compile(r"\w+")
_PART: Final = r"\n(?=[ \t]*(?:\n|[-+*•] |[#>|`~]|\d+[.)] ))"
"""Where a paragraph may end."""
_CLOSING: Final = {mark: re.compile(rf"{re.escape(mark)}+|{_PART}") for mark in "*_"}
_LABEL: Final = r"!?\[((?:[^\[\]\n]|\[[^\[\]\n]*\](?:\([^()\s]*\))?)*)\]"
_TARGET: Final = r"\((?!<)(?:[^\s()]|\([^\s()]*\))*(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ \t]*\)"
_LINK: Final = re.compile(_LABEL + _TARGET)
_OPEN_LABEL: Final = r"!?\[(?:[^\[\]\n]|\[[^\[\]\n]*\](?:\([^()\s]*\))?)*(?:\[[^\[\]\n]*(?:\]\([^()\s]*)?)?"
_OPEN_TARGET: Final = r"(?:\((?:[^()\n]|\([^()\n]*\))*(?:\([^()\n]*)?)?"
_OPEN_LINK: Final = re.compile(rf"(?:{_OPEN_LABEL}|{_LABEL}{_OPEN_TARGET})\Z")
"""What may become a link."""


class TooEarlyError(Exception):
    """The text that decides has not arrived yet."""


class Found(NamedTuple):
    """Where an emphasis, a link or a single mark ends, and what is spoken of it."""

    end: int
    text: str


def read_mark(text: str, mark: re.Match[str], before: str, final: bool) -> Found:
    """Read the emphasis or link that `mark` begins. If there is none, the mark itself is spoken.

    Parameters
    ----------
    text
        The text, as far as it has arrived.
    mark
        A match of `MARK` in it.
    before
        The character before the text.
    final
        Whether no more text follows.

    Returns
    -------
    Found
        `end` is an index in `text`.

    Raises
    ------
    TooEarlyError
        If the text that decides has not arrived yet.
    """
    open_end = not final and len(text) - mark.start() < LONGEST
    if mark[0] == "!":
        if open_end:
            raise TooEarlyError
        found = None
    elif mark[0].endswith("["):
        found = _link(text, mark.start(), open_end)
    else:
        found = _emphasis(text, mark, text[mark.start() - 1] if mark.start() else before, open_end)
    return found or Found(mark.end(), mark[0])


def _emphasis(text: str, mark: re.Match[str], before: str, open_end: bool) -> Found | None:
    if mark.end() == len(text) and open_end:
        raise TooEarlyError
    if len(mark[0]) > 3 or _JOINED_BEFORE.match(before) or not _INNER_BEGIN.match(text, mark.end()):
        return None
    for closing in _CLOSING[mark[0][0]].finditer(text, mark.end(), mark.start() + LONGEST):
        if closing[0] == "\n":
            return None
        if closing.end() == len(text) and open_end:
            raise TooEarlyError
        inner = text[mark.end() : closing.start()]
        closes = _INNER_END.match(inner, len(inner) - 1) and not _JOINED.match(text, closing.end())
        if closing[0] == mark[0] and closes:
            # Two underscores around one word may be a name in a program.
            is_name = mark[0] == "__" and _NAME.fullmatch(inner) and inner.islower()
            return None if is_name else Found(closing.end(), without_marks(inner))
    if open_end:
        raise TooEarlyError
    return None


def _link(text: str, at: int, open_end: bool) -> Found | None:
    if found := _LINK.match(text, at, at + LONGEST):
        return Found(found.end(), without_marks(found[1]))
    if open_end and _OPEN_LINK.match(text, at, at + LONGEST):
        raise TooEarlyError
    return None


def without_marks(text: str) -> str:
    """A complete `text` without the marks in it.

    Examples
    --------
    >>> without_marks("a *new* [page](https://example.com)")
    'a new page'
    """
    parts, at = [], 0
    while mark := MARK.search(text, at):
        found = read_mark(text, mark, " ", final=True)
        parts += [text[at : mark.start()], found.text]
        at = found.end
    return "".join([*parts, text[at:]])
