"""What can be spoken when text stops arriving before the next word shows where its sentence ends.

A writer may pause anywhere, and what it wrote so far may be the first half of a word or number. The longer it pauses,
the less likely that is:

- `sentences`: everything, where it is complete by its punctuation: it ends with `!`, `?`, `…`, a CJK or Indic mark, or
  a full stop after a word. A full stop does not complete it after a digit (`3.` may become `3.14`), after a single
  letter or a word with inner dots (`U.` may become `U.S.`), or after an abbreviation (`Dr.`); nor does a `?` or `!`
  inside a web address.
- `words`: everything up to the last white space; up to the end where a comma or its kin, or an abbreviation that can
  end a sentence (`p.m.`), shows that the last word is whole. What belongs to the word after it (`Dr.`, `e.g.`, `J.`,
  the `1.` of a list) stays with that word.
- `all`: everything. A pause of so many seconds is taken for the end of a word.

A tag that was begun, such as `[clear thr`, always waits for its end.
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
    """How much of `text` can be spoken after a pause: a length, or 0."""
    if not text.strip():
        return 0
    last = _last(text)
    if patience == "sentences":
        return len(text) if last == "complete" else 0
    end = len(text) if patience == "all" or last in ("complete", "whole") else _words_end(text)
    open_tag = OPEN_TAG.search(text, max(0, end - 33), end)
    return open_tag.start() if open_tag else end


def _words_end(text: str) -> int:
    """Where the last word ends that white space follows and that does not belong to what comes after it."""
    end = len(text) if text[-1].isspace() else _last_begin(text)
    while end and _last(text[:end]) == "belongs to next":
        end = _last_begin(text[:end])
    return end


def _last_begin(text: str) -> int:
    """Where the last word of `text` begins."""
    stripped = text.rstrip()
    return len(stripped) - len(stripped.rsplit(maxsplit=1)[-1]) if stripped else 0


def _last(text: str) -> _Last:
    """What is known about the last word of `text`, with the marks after it."""
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
