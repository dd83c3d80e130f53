"""Decides what can be spoken when text stops arriving before the end of a sentence is certain.

A writer may pause anywhere, also inside a word or a number. The longer the pause, the less likely that is. So there are
three degrees of patience:

- `sentences`: everything, if its punctuation shows that it is complete. It then ends with `!`, `?`, `…`, a CJK or Indic
  mark, or a full stop after a word. A full stop is not enough after a digit (`3.` may become `3.14`), after a single
  letter or a word with inner dots (`U.` may become `U.S.`), or after an abbreviation (`Dr.`). A `?` or `!` inside a web
  address is not enough either.
- `words`: everything up to the last white space. Everything up to the end, if a comma or a similar mark, or an
  abbreviation that can end a sentence (`p.m.`), shows that the last word is whole. Words that belong to the next one
  (`Dr.`, `e.g.`, `J.`, the `1.` of a list) are held back.
- `all`: everything. After so long a pause, the last word counts as whole.

An unfinished tag, such as `[clear thr`, is always held back.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from tts_cli.text.marks import (
    ALNUM,
    BEFORE_NUMBER,
    CLOSING,
    HARD,
    JOINING,
    LIST_NUMBER,
    MAY_END,
    OPEN_TAG,
    OPENING,
    SOFT,
    TITLES,
)

Patience: TypeAlias = Literal["sentences", "words", "all"]
_Last: TypeAlias = Literal["complete", "whole", "belongs to next", "unsure"]

_WORD: Final = re.compile(rf"(.*?)([{SOFT}{HARD}]*)[{CLOSING}]*(?:\[\d{{1,3}}\])*")
_CLAUSE_END: Final = re.compile(rf"[^\W\d_][{CLOSING}]*[,;:，、；：،؛)）][{CLOSING}]*\Z")
_ADDRESS: Final = re.compile(r"[/@]|www\.")


def speakable_until(text: str, patience: Patience) -> int:
    """How many characters of `text` can be spoken after a pause.

    Examples
    --------
    >>> speakable_until("It rains.", "sentences"), speakable_until("It rai", "words"), speakable_until("It rai", "all")
    (9, 3, 6)
    """
    if not text.strip():
        return 0
    last = _last(text)
    if patience == "sentences":
        return len(text) if last == "complete" else 0
    end = len(text) if patience == "all" or last in ("complete", "whole") else _words_end(text)
    open_tag = OPEN_TAG.search(text, max(0, end - 33), end)
    return open_tag.start() if open_tag else end


def _words_end(text: str) -> int:
    """The end of the last whole word that does not belong to the next one, with the white space after it."""
    end = len(text) if text[-1].isspace() else _last_begin(text)
    while end and _last(text[:end]) == "belongs to next":
        end = _last_begin(text[:end])
    return end


def _last_begin(text: str) -> int:
    """Where the last word of `text` begins."""
    stripped = text.rstrip()
    return len(stripped) - len(stripped.rsplit(maxsplit=1)[-1]) if stripped else 0


def _last(text: str) -> _Last:
    """What the last word of `text` and the marks after it show."""
    begin, stripped = _last_begin(text), text.rstrip()
    found = _WORD.fullmatch(stripped, begin)
    if found is None:
        return "unsure"
    word, marks = found[1].lstrip(OPENING), found[2]
    if not marks:
        return "whole" if _CLAUSE_END.search(stripped, begin) else "unsure"
    if not ALNUM.search(text, 0, found.end(1)):
        return "unsure"
    if any(mark in HARD for mark in marks):
        return "complete"
    if "." not in marks:
        return "unsure" if _ADDRESS.search(word) else "complete"
    if LIST_NUMBER.fullmatch(text, 0, found.end(1)) or word in TITLES or word.lower() in JOINING:
        return "belongs to next"
    if not word or not word[-1].isalpha():
        return "unsure"
    if marks != ".":
        return "complete"
    if word.lower() in MAY_END or word.lower() in BEFORE_NUMBER:
        return "whole"
    if len(word) == 1:
        return "belongs to next"
    return "unsure" if "." in word or word == "www" else "complete"
