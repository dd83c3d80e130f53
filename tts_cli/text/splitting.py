"""Text arrives in pieces; sentences leave as soon as they are whole.

Each decision is a function of the text from the sentence's start to a bounded look-ahead, and is put off
while that much has not arrived. So the result does not depend on how the text was cut into pieces, time is
linear in the text, and no more than `max_chars` and twice `LOOKAHEAD` characters are ever held back.

What ends a sentence:

- `.`, `!`, `?` and their kin, with the closing quotes, brackets and footnote marks (`[1]`) after them, before white
  space. CJK and Indic marks need no space, nor do `!` and `?` between CJK characters. Where the mark is ambiguous, the
  next word decides: after an ellipsis, an abbreviation or initial, or a closing quote, a small letter goes on with the
  sentence; after a closing CJK bracket, hiragana do (`「はい。」と言った。`).
- A blank line, always; the end of a line shorter than `WRAPPED`, of a heading, or of the line before a list
  item. A longer line without a mark at its end is hard-wrapped prose and goes on in the next line.
- `max_chars`: a longer sentence is cut as `cuts` has it.

How a sentence ends, and whether a blank line stands before it, goes with it (`segment.Sentence`).

Where text stops arriving, `pauses` says what can be spoken all the same.

A tag such as `[laugh]` after a sentence belongs to what follows. White space (as `str.isspace` has it) is
collapsed to single spaces; every other character, control characters included, passes through. A mark
before the first letter or digit ends nothing, so `... and` and `!!! Stop` stay whole.
"""

from __future__ import annotations

import io
import re
from enum import Enum, auto
from typing import Final

from tts_cli.segment import Ending, Sentence
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
from tts_cli.text.pauses import Patience, speakable_until

WRAPPED: Final = 60
"""A line of at least so many characters was probably broken by an editor, not by its author."""
LOOKAHEAD: Final = 64
"""How many characters after a mark, or after the end of its line, may be needed to understand it."""
LONGEST_ABBREVIATION: Final = 24

_LINE_ENDS: Final = str.maketrans({"\v": "\n", "\x85": "\n", "\u2028": "\n", "\f": "\n\n", "\u2029": "\n\n"})

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
    """What stands before the white space, and so what may go on after it."""

    PAUSE = auto()  # an ellipsis or a closing quote: a small letter goes on
    NUMBER = auto()  # No. 5: a digit does
    ABBREVIATION = auto()  # p.m.: both do, and so do acronyms and weekdays (5 p.m. EST, 5 p.m. Monday)
    INITIAL = auto()  # J. R. R. Tolkien, U.S. Senate: all do but the usual first words of a sentence


class _TooEarlyError(Exception):
    """What decides has not arrived yet."""


class SentenceSplitter:
    """Takes text in pieces of any size, gives each sentence, of at most `max_chars`, once it is whole."""

    def __init__(self, max_chars: int) -> None:
        if max_chars < 1:
            raise ValueError("max_chars must be positive")
        self._max_chars = max_chars
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._text = ""  # what has not left yet; begins with the next sentence
        self._scanned = 0  # no sentence ends before here
        self._line = 0  # where the line of the next sentence began, before the text if negative
        self._newlines_before: int | None = None  # how many stand before the next sentence; None before the first

    def feed(self, text: str) -> list[Sentence]:
        """The sentences that `text` makes whole, in order, stripped and none empty."""
        return self._take(self._text + _with_newlines(self._newlines.decode(text)), None)

    def pause(self, patience: Patience) -> list[Sentence]:
        """What can be spoken of the rest, now that no text has come for a while."""
        end = speakable_until(self._text, patience)
        held, rest = self._text[:end], self._text[end:]
        self._scanned = min(self._scanned, end)
        sentences = self._take(held, "line" if "\n" in held[len(held.rstrip()) :] else "cut")
        self._text += rest
        return sentences

    def finish(self) -> list[Sentence]:
        """What is left, now that nothing follows. Afterwards the splitter is as new."""
        rest = self._take(self._text + _with_newlines(self._newlines.decode("", final=True)), "line")
        self._newlines.reset()
        self._line = 0
        self._newlines_before = None
        return rest

    def _take(self, text: str, final: Ending | None) -> list[Sentence]:
        window = _Window(text, self._line, self._max_chars, final)
        sentences: list[Sentence] = []
        cut = Cut(self._scanned)
        while self._skip_space(window):
            cut = window.search(max(cut.at, window.start))
            if cut.ending is None:
                break
            text = window.text[window.start : cut.at]
            new_paragraph = (self._newlines_before or 0) > 1
            sentences.append(Sentence(" ".join(text.split()), cut.ending, new_paragraph))
            self._newlines_before = text.count("\n", len(text.rstrip()))
            window.advance(cut.at)
        self._text = window.text[window.start :]
        self._scanned = max(cut.at - window.start, 0)
        self._line = window.line - window.start
        return sentences

    def _skip_space(self, window: _Window) -> bool:
        """Go to the next sentence; False if there is none."""
        end = window.space_end()
        if self._newlines_before is not None:
            self._newlines_before += window.text.count("\n", window.start, end)
        window.advance(end)
        return end < len(window.text)


class _Window:
    """All that has arrived and not left: the next sentence begins at `start`, its line at `line`.

    `final` is None while more is to come, else how the text ends where it has no mark.
    """

    def __init__(self, text: str, line: int, max_chars: int, final: Ending | None) -> None:
        self.text = text
        self.start = 0
        self.line = line
        self.max_chars = max_chars
        self.final = final

    def advance(self, to: int) -> None:
        self.line = self._line_begin(to)
        self.start = to

    def space_end(self) -> int:
        """Where the white space at `start` ends."""
        return _run(_SPACE, self.text, self.start, len(self.text))

    def search(self, scan: int) -> Cut:
        """The end of the sentence at `start`, or how far the search came before it ran out of text."""
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
        # A mark that nothing follows is a sentence's, whatever it may be elsewhere.
        marked = self.final is not None and _FINAL_MARK.search(self.text, self.start)
        return Cut(len(self.text), "sentence" if marked else self.final)

    def _newline(self, at: int) -> Cut:
        line = self.text[max(self._line_begin(at), self.start) : at].strip()
        # An empty line is a short one, too.
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
        """Whether a CJK bracket closes after the mark, and a particle goes on after it."""
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
            # In a bracket it is a tag or a note, which comes after the sentence.
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
        """Puts the decision off until `text[until]` has arrived or nothing more will."""
        if self.final is None and len(self.text) <= until:
            raise _TooEarlyError


def _with_newlines(piece: str) -> str:
    return piece.translate(_LINE_ENDS)


def _run(pattern: re.Pattern[str], text: str, at: int, end: int) -> int:
    """Where what `pattern` matches at `at` ends, `end` at the latest."""
    found = pattern.match(text, at, end)
    return found.end() if found else at


def split(text: str, max_chars: int) -> list[Sentence]:
    """All sentences of a whole text."""
    splitter = SentenceSplitter(max_chars)
    return splitter.feed(text) + splitter.finish()


def is_speakable(sentence: str) -> bool:
    """Whether it holds a letter or a digit of any script, as every tag such as [laugh] does."""
    return any(map(str.isalnum, sentence))
