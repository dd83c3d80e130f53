"""Text arrives in pieces; sentences leave as soon as they are whole.

Each decision is a function of the text from the sentence's start to a bounded look-ahead, and is put off
while that much has not arrived. So the result does not depend on how the text was cut into pieces, time is
linear in the text, and no more than `max_chars` and twice `LOOKAHEAD` characters are ever held back.

What ends a sentence:

- `.`, `!`, `?` and their kin, with the quotes and brackets that close behind them, before white space. CJK
  and Indic marks need no space. Where the mark is ambiguous, the next word decides: after an ellipsis, an
  abbreviation or initial, or a closing quote, a small letter goes on with the sentence.
- A blank line, always; the end of a line shorter than `WRAPPED`, of a heading, or of the line before a list
  item. A longer line without a mark at its end is hard-wrapped prose and goes on in the next line.
- `max_chars`: a longer sentence is cut behind the last clause mark of its second half, else at the last
  space, else anywhere but inside a tag or a character made of several code points.

How a sentence ends, and whether a blank line stands before it, goes with it (`segment.Sentence`).

A tag such as `[laugh]` behind a sentence belongs to what follows. White space (as `str.isspace` has it) is
collapsed to single spaces; every other character, control characters included, passes through. A mark
before the first letter or digit ends nothing, so `... and` and `!!! Stop` stay whole.
"""

from __future__ import annotations

import io
import re
import unicodedata
from enum import Enum, auto
from typing import Final, NamedTuple

from tts_cli.segment import Ending, Sentence

__all__ = ["TAGS", "SentenceSplitter", "is_speakable", "split"]

TAGS: Final = (
    *("clear throat", "sigh", "shush", "cough", "groan", "sniff", "gasp", "chuckle", "laugh"),
    *("angry", "fear", "surprised", "whispering", "advertisement", "dramatic", "narration"),
    *("crying", "happy", "sarcastic"),
)
"""The tags that Chatterbox Turbo's tokenizer knows (its `added_tokens.json`), written `[laugh]`."""
WRAPPED: Final = 60
"""A line of at least so many characters was probably broken by an editor, not by its author."""
LOOKAHEAD: Final = 64
"""How many characters behind a mark, or behind the end of its line, may be needed to understand it."""
LONGEST_ABBREVIATION: Final = 24

_LINE_ENDS: Final = str.maketrans({"\v": "\n", "\x85": "\n", "\u2028": "\n", "\f": "\n\n", "\u2029": "\n\n"})

_SOFT: Final = ".!?…‽⁇⁈⁉"  # end a sentence before white space
_HARD: Final = "。！？｡؟۔।॥።។။"  # end it anywhere
_EMOJI: Final = "\u2600-\u27bf\U0001f000-\U0001faff\u200d\ufe0f"
_CLOSING: Final = rf"\"'”’»›)\]}}）」』】》〉*_`{_EMOJI}"
_OPENING: Final = "\"'“‘«‹([{（「『【《〈¿¡*_`"

_CANDIDATE: Final = re.compile(rf"[{_SOFT}{_HARD}\n]")
_MARKS: Final = re.compile(rf"[{_SOFT}{_HARD}]*")
_MARKS_AND_CLOSING: Final = re.compile(rf"[{_SOFT}{_HARD}{_CLOSING}]*")
_FINAL_MARK: Final = re.compile(rf"[{_SOFT}{_HARD}][{_SOFT}{_HARD}{_CLOSING}\s]*\Z")
_CLAUSE: Final = re.compile(r"[,;:](?=\s)|[，、；：،؛—–]|\s-(?=\s)")
_ALNUM: Final = re.compile(r"[^\W_]")
_ALNUM_OR_NEWLINE: Final = re.compile(r"[^\W_]|\n")
_SPACE: Final = re.compile(r"\s*")
_TAG: Final = re.compile(r"\[[A-Za-z][A-Za-z _-]{0,30}\]")
_OPEN_TAG: Final = re.compile(r"\[[A-Za-z _-]{0,31}\Z")
_ITEM: Final = re.compile(r"[^\S\n]*(?:[-*+•‣◦–—]|\d{1,3}[.)]|[A-Za-z][)])\s")
_LONGEST_BULLET: Final = 5
_LIST_NUMBER: Final = re.compile(r"[\s\-*+•#>(]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})")

_LAST_WORD: Final = re.compile(r"[^\W_]+(?:\.[^\W_]+)*\Z")
_NEXT_WORD: Final = re.compile(rf"[{re.escape(_OPENING)}]*(?P<word>[^\W\d_]+)")
_INITIALS: Final = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Written before something that belongs to them, so that they never end a sentence.
_TITLES: Final = _words(
    "Dr Mr Mrs Ms Mx Prof Rev St Ste Mt Gen Col Maj Capt Cmdr Lt Sgt Cpl Adm Sen Rep Gov Hon Pres Supt"
    " Messrs Mme Mlle Fr Hr dr mr mrs prof"
)
_JOINING: Final = _words("e.g i.e vs cf viz ca approx resp incl excl z.b d.h u.a bzw p.ex")
# Abbreviations before a number, else ordinary words.
_BEFORE_NUMBER: Final = _words(
    "no nos nr p pp vol vols ch chap sec art fig figs eq par para ver v jan feb mar apr may jun jul aug"
    " sep sept oct nov dec tel ext"
)
# They end a sentence where a capital follows.
_MAY_END: Final = _words(
    "etc inc ltd co corp bros jr sr esq al ave blvd rd dept est min max hrs lbs oz ft a.m p.m a.d b.c"
    " b.c.e c.e ph.d m.d temp avg b.a m.a b.sc m.sc d.d.s usw u.s.w a.k.a w.r.t n.b"
)
# Words that open a sentence and are no surnames: only they end it behind an initial (Plan B. Then …).
_OPENERS: Final = _words(
    "a after all also although an and are as at because before both but by can could did do does each"
    " every few for from had has have he her here his how however i if in indeed instead is it its let"
    " many maybe meanwhile most my no nobody nor not nothing now of on once one or our perhaps please"
    " she should since so some still such than that the their then there therefore these they this those"
    " though thus to today tomorrow until was we were what when where whether which while who why will"
    " with would yes yesterday yet you your"
)
_DAYS: Final = _words("monday tuesday wednesday thursday friday saturday sunday")


class _Cut(NamedTuple):
    """The sentence's end and its kind; without a kind, the place up to which the sentence has no end."""

    at: int
    ending: Ending | None = None


class _Before(Enum):
    """What stands before the white space, and so what may go on behind it."""

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
        self._line = 0  # where the line of the next sentence began, behind us if negative
        self._newlines_before: int | None = None  # how many stand before the next sentence; None before the first

    def feed(self, text: str) -> list[Sentence]:
        """The sentences that `text` makes whole, in order, stripped and none empty."""
        return self._take(self._newlines.decode(text), final=False)

    def finish(self) -> list[Sentence]:
        """What is left, now that nothing follows. Afterwards the splitter is as new."""
        rest = self._take(self._newlines.decode("", final=True), final=True)
        self._newlines.reset()
        self._line = 0
        self._newlines_before = None
        return rest

    def _take(self, piece: str, *, final: bool) -> list[Sentence]:
        window = _Window(self._text + piece.translate(_LINE_ENDS), self._line, self._max_chars, final)
        sentences: list[Sentence] = []
        cut = _Cut(self._scanned)
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
    """All that has arrived and not left: the next sentence begins at `start`, its line at `line`."""

    def __init__(self, text: str, line: int, max_chars: int, final: bool) -> None:
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

    def search(self, scan: int) -> _Cut:
        """The end of the sentence at `start`, or how far the search came before it ran out of text."""
        limit = self.start + self.max_chars
        while found := _CANDIDATE.search(self.text, scan, limit + 1):
            at = found.start()
            try:
                cut = self._newline(at) if found[0] == "\n" else self._mark(at, limit)
            except _TooEarlyError:
                return _Cut(at)
            if cut.ending is not None:
                return cut
            scan = cut.at
        if len(self.text) > limit:
            return _best_cut(self.text, self.start, limit)
        return _Cut(len(self.text), self._final_ending() if self.final else None)

    def _final_ending(self) -> Ending:
        """How the text ends: a mark that nothing follows is a sentence's, whatever it may be elsewhere."""
        return "sentence" if _FINAL_MARK.search(self.text, self.start) else "line"

    def _newline(self, at: int) -> _Cut:
        line = self.text[max(self._line_begin(at), self.start) : at].strip()
        # An empty line is a short one, too.
        whole = self._is_short(at) or line.startswith("#") or line.endswith((":", "：")) or self._is_item(at + 1)
        return _Cut(at, "line") if whole else _Cut(at + 1)

    def _mark(self, at: int, limit: int) -> _Cut:
        if not _ALNUM.search(self.text, self.start, at):
            found = _ALNUM_OR_NEWLINE.search(self.text, at, limit + 1)
            return _Cut(found.start() if found else min(len(self.text), limit + 1))
        marks_end = _run(_MARKS, self.text, at, limit + 1)
        end = _run(_MARKS_AND_CLOSING, self.text, marks_end, limit + 1)
        if end > limit:
            return _Cut(end)
        self._need(end)
        behind = self.text[end : end + 1]
        if any(char in _HARD for char in self.text[at:end]):
            whole = not behind or behind not in ",;:，、；："
        elif behind == "[":
            whole = self._is_tag(end)
        else:
            whole = not behind or (behind.isspace() and self._ends_before_space(at, marks_end, end))
        return _Cut(end, "sentence" if whole else None)

    def _ends_before_space(self, at: int, marks_end: int, end: int) -> bool:
        marks = self.text[at:marks_end]
        if end > marks_end or marks.endswith(("..", "…")):
            return self._begins_anew(end, _Before.PAUSE)
        if marks != ".":
            return True
        if self.text[at - 1].isspace():  # a spaced ellipsis
            return False
        if at - self.start < LOOKAHEAD and _LIST_NUMBER.fullmatch(self.text, self.start, at):
            return False
        found = _LAST_WORD.search(self.text, max(self.start, at - LONGEST_ABBREVIATION), at)
        word = found[0] if found else ""
        if word in _TITLES or word.lower() in _JOINING:
            return False
        if word.lower() in _BEFORE_NUMBER:
            return self._begins_anew(end, _Before.NUMBER)
        if word.lower() in _MAY_END:
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
        if not ahead.strip(_OPENING + "#"):
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
            return word.lower() in _OPENERS and ahead[found.end() : found.end() + 1] != "."
        return not (len(word) > 1 and word.isupper()) and word.lower() not in _DAYS

    def _is_tag(self, at: int) -> bool:
        ahead = self.text[at : at + LOOKAHEAD]
        if _OPEN_TAG.match(ahead):
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
        if not self.final and len(self.text) <= until:
            raise _TooEarlyError


def _run(pattern: re.Pattern[str], text: str, at: int, end: int) -> int:
    """Where what `pattern` matches at `at` ends, `end` at the latest."""
    found = pattern.match(text, at, end)
    return found.end() if found else at


def _best_cut(text: str, start: int, limit: int) -> _Cut:
    """Where to cut `text[start:]`, of which more than `limit - start` characters are there."""
    half = start + (limit - start) // 2
    found = _CLAUSE.finditer(text, max(half - 1, start), limit + 1)
    clauses = [clause.end() for clause in found if clause.end() <= limit]
    if clauses:
        cut = clauses[-1]
    else:
        spaces = (at for at in range(limit, start, -1) if text[at].isspace())
        cut = next(spaces, 0) or _between_characters(text, start, limit)
    tag = _OPEN_TAG.search(text, max(start, cut - 32), cut)
    if tag and tag.start() > start:
        return _Cut(tag.start(), "cut")
    return _Cut(cut, "clause" if clauses else "cut")


def _between_characters(text: str, start: int, limit: int) -> int:
    """The last place up to `limit` that does not part the code points of one character, if one is near."""
    for cut in range(limit, max(start, limit - 32), -1):
        if not _joined(text, start, cut):
            return cut
    return limit


def _joined(text: str, start: int, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if before == "\u200d" or after == "\u200d" or unicodedata.category(after) in {"Mn", "Me", "Mc"}:
        return True
    # Skin tones and the tags of regional flags.
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


def split(text: str, max_chars: int) -> list[Sentence]:
    """All sentences of a whole text."""
    splitter = SentenceSplitter(max_chars)
    return splitter.feed(text) + splitter.finish()


def is_speakable(sentence: str) -> bool:
    """Whether it holds a letter or a digit of any script, as every tag such as [laugh] does."""
    return any(map(str.isalnum, sentence))
