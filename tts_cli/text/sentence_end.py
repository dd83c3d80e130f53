"""Decides where the first sentence of a text ends.

What ends a sentence:

- `.`, `!`, `?` and similar marks, with the closing quotes, brackets and footnote marks (`[1]`) after them, before white
  space. CJK and Indic marks need no space, nor do `!` and `?` between CJK characters. Where the mark is ambiguous, the
  next word decides. After an ellipsis, an abbreviation, an initial or a closing quote, a small letter continues the
  sentence. After a closing CJK bracket, hiragana continue it (`「はい。」と言った。`).
- A blank line, always; the end of a line shorter than `WRAPPED`, of a heading, or of the line before a list
  item. A longer line without a mark at its end is hard-wrapped prose and continues in the next line.
- `max_chars`: a longer sentence is cut by `cuts.best_cut`.

A tag such as `[laugh]` after a sentence belongs to the next one. A mark before the first letter or digit ends nothing,
so `... and` and `!!! Stop` stay whole.

Each decision depends on the text from the beginning of the sentence to at most `LOOKAHEAD` characters after a mark or
the end of its line. It is put off until so much has arrived.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from tts_cli.segment import Ending
from tts_cli.text.cuts import Cut, best_cut
from tts_cli.text.marks import (
    ALNUM,
    BEFORE_NUMBER,
    CJK,
    CLOSING,
    DAYS,
    HARD,
    JOINING,
    LAST_WORD,
    LIST_NUMBER,
    MAY_END,
    OPEN_TAG,
    OPENERS,
    OPENING,
    SOFT,
    TITLES,
)

WRAPPED: Final = 60
"""A line of at least so many characters was probably broken by an editor, not by its author."""
LOOKAHEAD: Final = 64
"""How many characters after a mark, or after the end of its line, may be needed to understand it."""
LONGEST_ABBREVIATION: Final = 24

_CANDIDATE: Final = re.compile(rf"[{SOFT}{HARD}\n]")
_MARKS: Final = re.compile(rf"[{SOFT}{HARD}]*")
_MARKS_AND_CLOSING: Final = re.compile(rf"[{SOFT}{HARD}{CLOSING}]*")
_FOOTNOTE: Final = re.compile(r"\[\d{1,3}(?:[,–-] ?\d{1,3})*\]|[¹²³⁰⁴-⁹]")
_OPEN_FOOTNOTE: Final = re.compile(r"\[[\d, –-]*\Z")
_FINAL_MARK: Final = re.compile(rf"[{SOFT}{HARD}][{SOFT}{HARD}{CLOSING}\s]*\Z")
_ALNUM_OR_NEWLINE: Final = re.compile(r"[^\W_]|\n")
_ASKED_OR_CALLED: Final = re.compile(r"[!?‽⁇⁈⁉]+")
_CJK: Final = re.compile(rf"[{CJK}]")
_CJK_QUOTED: Final = re.compile(r".*[」』】》〉〕〗〙〛］｝｣）][\u3040-\u309f]", re.DOTALL)
_SPACE: Final = re.compile(r"\s*")
_TAG: Final = re.compile(r"\[[A-Za-z][A-Za-z _-]{0,30}\]")
_ITEM: Final = re.compile(r"[^\S\n]*(?:[-*+•‣◦–—]|\d{1,3}[.)]|[A-Za-z][)])\s")
_LONGEST_BULLET: Final = 5

_NEXT_WORD: Final = re.compile(rf"[{re.escape(OPENING)}]*(?P<word>[^\W\d_]+)")
_INITIALS: Final = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")


class _Before(Enum):
    """What stands before the white space. It decides which words continue the sentence after the white space."""

    PAUSE = auto()  # an ellipsis or a closing quote; a small letter continues the sentence
    NUMBER = auto()  # No. 5; a digit continues it
    ABBREVIATION = auto()  # 5 p.m. EST; small letters, digits, acronyms and weekdays continue it
    INITIAL = auto()  # J. R. R. Tolkien; every word continues it but the usual first words of a sentence


class _TooEarlyError(Exception):
    """The text that decides has not arrived yet."""


class Window:
    """The text that has arrived and of which no sentence has been given yet.

    Parameters
    ----------
    text
        The text.
    line
        Where the line of the next sentence begins; negative if that is before `text`.
    max_chars
        The most characters of a sentence.
    final
        How the last sentence ends if no mark ends it; None while more text may come.

    Attributes
    ----------
    start
        Where the next sentence begins.
    """

    def __init__(self, text: str, line: int, max_chars: int, final: Ending | None) -> None:
        self.text = text
        self.start = 0
        self.line = line
        self.max_chars = max_chars
        self.final = final

    def advance(self, to: int) -> None:
        """Let the next sentence begin at `to`."""
        self.line = self._line_begin(to)
        self.start = to

    def space_end(self) -> int:
        """Where the white space at `start` ends."""
        return _run(_SPACE, self.text, self.start, len(self.text))

    def search(self, scan: int) -> Cut:
        """The end of the sentence at `start`; if it has not arrived, where the next search is to begin.

        `scan` is where this search begins.
        """
        limit = self.start + self.max_chars
        while found := _CANDIDATE.search(self.text, scan, limit + 1):
            at = found.start()
            try:
                cut = self._newline(at) if found[0] == "\n" else self._mark(at, limit)
            except _TooEarlyError:
                return Cut(at)
            if cut.ending is not None:
                return cut
            scan = cut.at
        if len(self.text) > limit:
            return best_cut(self.text, self.start, limit)
        # A mark at the end of the text ends a sentence, also after an abbreviation.
        marked = self.final is not None and _FINAL_MARK.search(self.text, self.start)
        return Cut(len(self.text), "sentence" if marked else self.final)

    def _newline(self, at: int) -> Cut:
        line = self.text[max(self._line_begin(at), self.start) : at].strip()
        # An empty line counts as a short one.
        whole = self._is_short(at) or line.startswith("#") or line.endswith((":", "：")) or self._is_item(at + 1)
        return Cut(at, "line") if whole else Cut(at + 1)

    def _mark(self, at: int, limit: int) -> Cut:
        if not ALNUM.search(self.text, self.start, at):
            found = _ALNUM_OR_NEWLINE.search(self.text, at, limit + 1)
            return Cut(found.start() if found else min(len(self.text), limit + 1))
        marks_end = _run(_MARKS, self.text, at, limit + 1)
        closed = _run(_MARKS_AND_CLOSING, self.text, marks_end, limit + 1)
        end = self._footnotes_end(closed, limit)
        if end > limit:
            return Cut(end)
        self._need(end)
        after = self.text[end : end + 1]
        if not after:
            whole = True
        elif any(char in HARD for char in self.text[at:closed]):
            whole = after not in ",;:，、；：" and not self._is_quoted(marks_end, end)
        elif after == "[":
            whole = self._is_tag(end)
        elif after.isspace():
            whole = self._ends_before_space(at, marks_end, closed, end)
        else:
            unspaced = _CJK.match(self.text[at - 1]) and _ASKED_OR_CALLED.fullmatch(self.text, at, marks_end)
            whole = bool(unspaced and _CJK.match(after)) and not self._is_quoted(marks_end, end)
        return Cut(end, "sentence" if whole else None)

    def _footnotes_end(self, at: int, limit: int) -> int:
        """Where the footnote marks at `at` end."""
        while at <= limit:
            ahead = self.text[at : at + LOOKAHEAD]
            if not (found := _FOOTNOTE.match(ahead)):
                if _OPEN_FOOTNOTE.match(ahead):
                    self._need(at + LOOKAHEAD)
                break
            at += found.end()
        return at

    def _is_quoted(self, marks_end: int, end: int) -> bool:
        """Whether a closing CJK bracket and a particle follow the mark."""
        return _CJK_QUOTED.fullmatch(self.text, marks_end, end + 1) is not None

    def _ends_before_space(self, at: int, marks_end: int, closed: int, end: int) -> bool:
        marks = self.text[at:marks_end]
        if closed > marks_end or marks.endswith(("..", "…")):
            return self._begins_anew(end, _Before.PAUSE)
        if marks != ".":
            return True
        if self.text[at - 1].isspace():  # a spaced ellipsis
            return False
        if at - self.start < LOOKAHEAD and LIST_NUMBER.fullmatch(self.text, self.start, at):
            return False
        found = LAST_WORD.search(self.text, max(self.start, at - LONGEST_ABBREVIATION), at)
        word = found[0] if found else ""
        if word in TITLES or word.lower() in JOINING:
            return False
        if word.lower() in BEFORE_NUMBER:
            return self._begins_anew(end, _Before.NUMBER)
        if word.lower() in MAY_END:
            return self._begins_anew(end, _Before.ABBREVIATION)
        if _INITIALS.fullmatch(word) and (word[0].isupper() or len(word) > 1):
            return self._begins_anew(end, _Before.INITIAL)
        return True

    def _begins_anew(self, end: int, before: _Before) -> bool:
        """Whether what follows the white space at `end` is a new sentence, by its first word."""
        until = end + LOOKAHEAD
        begin = _run(_SPACE, self.text, end, until)
        newline = self.text.find("\n", end, begin)
        if newline >= 0 and (
            self._is_short(newline) or "\n" in self.text[newline + 1 : begin] or self._is_item(newline + 1)
        ):
            return True
        ahead = self.text[begin:until]
        if not ahead.strip(OPENING + "#"):
            self._need(until)
            return True
        if ahead[0] in ",;:–—-&/":
            return False
        if before is not _Before.PAUSE and ahead.lstrip("#(")[:1].isdigit():
            return False
        found = _NEXT_WORD.match(ahead)
        if before is _Before.NUMBER or not found:
            return True
        word = found["word"]
        if word[0].islower():
            # A small letter in a bracket begins a tag or a note. Both come after the sentence.
            return ahead[0] == "[" and before is not _Before.INITIAL
        if before is _Before.PAUSE or not word[0].isupper():
            return True
        if found.end() == len(ahead):
            self._need(until)
        if before is _Before.INITIAL:
            return word.lower() in OPENERS and ahead[found.end() : found.end() + 1] != "."
        return not (len(word) > 1 and word.isupper()) and word.lower() not in DAYS

    def _is_tag(self, at: int) -> bool:
        ahead = self.text[at : at + LOOKAHEAD]
        if OPEN_TAG.match(ahead):
            self._need(at + LOOKAHEAD)
        return _TAG.match(ahead) is not None

    def _is_item(self, at: int) -> bool:
        """Whether an item of a list begins at `at`."""
        ahead = self.text[at : at + LOOKAHEAD]
        if _ITEM.match(ahead):
            return True
        if "\n" not in ahead and len(ahead.lstrip()) < _LONGEST_BULLET:
            self._need(at + LOOKAHEAD)
        return False

    def _is_short(self, newline: int) -> bool:
        begin = self._line_begin(newline)
        shown = self.text[max(begin, self.start) : newline].rstrip()
        return max(self.start - begin, 0) + len(shown) < WRAPPED

    def _line_begin(self, at: int) -> int:
        newline = self.text.rfind("\n", self.start, at)
        return newline + 1 if newline >= 0 else self.line

    def _need(self, until: int) -> None:
        """Put the decision off unless `text[until]` has arrived, or no more text will."""
        if self.final is None and len(self.text) <= until:
            raise _TooEarlyError


def _run(pattern: re.Pattern[str], text: str, at: int, end: int) -> int:
    """The end of the match of `pattern` at `at`, at most `end`."""
    found = pattern.match(text, at, end)
    return found.end() if found else at
