"""Splits text that arrives in pieces into sentences, each as soon as it is complete.

`sentence_end` decides where a sentence ends. The result does not depend on how the text was cut into pieces. Time is
linear in the length of the text. At most `max_chars` and twice `LOOKAHEAD` characters are held back. When text stops
arriving, `pauses` decides what can be spoken all the same.

White space (as defined by `str.isspace`) is collapsed to single spaces. Every other character passes through, control
characters included.
"""

from __future__ import annotations

import io
from typing import Final

from tts_cli.segment import Ending, Sentence
from tts_cli.text.cuts import Cut
from tts_cli.text.pauses import Patience, speakable_until
from tts_cli.text.sentence_end import Window

_LINE_ENDS: Final = str.maketrans({"\v": "\n", "\x85": "\n", "\u2028": "\n", "\f": "\n\n", "\u2029": "\n\n"})


class SentenceSplitter:
    """Takes text in pieces of any size, and gives each sentence as soon as it is whole.

    Parameters
    ----------
    max_chars
        The most characters of a sentence; a longer one is cut.

    Raises
    ------
    ValueError
        If `max_chars` is less than 1.

    Examples
    --------
    >>> splitter = SentenceSplitter(300)
    >>> [sentence.text for sentence in splitter.feed("It rains. It po")]
    ['It rains.']
    >>> [sentence.text for sentence in splitter.feed("urs.") + splitter.finish()]
    ['It pours.']
    """

    def __init__(self, max_chars: int) -> None:
        if max_chars < 1:
            raise ValueError("max_chars must be positive")
        self._max_chars = max_chars
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._text = ""  # what was not given yet; begins with the next sentence
        self._scanned = 0  # no sentence ends before this position
        self._line = 0  # where the line of the next sentence begins; negative if before the text
        self._newlines_before: int | None = None  # newlines before the next sentence; None before the first

    def feed(self, text: str) -> list[Sentence]:
        """The sentences that `text` completes, in order, stripped; none is empty."""
        return self._take(self._text + _with_newlines(self._newlines.decode(text)), None)

    def pause(self, patience: Patience) -> list[Sentence]:
        """What can be spoken of the rest when no text has come for a while."""
        end = speakable_until(self._text, patience)
        held, rest = self._text[:end], self._text[end:]
        self._scanned = min(self._scanned, end)
        sentences = self._take(held, "line" if "\n" in held[len(held.rstrip()) :] else "cut")
        self._text += rest
        return sentences

    def end_sentence(self) -> list[Sentence]:
        """The rest of the text so far, as a sentence that ends as a heading or list item does."""
        return self._take(self._text, "line")

    def finish(self) -> list[Sentence]:
        """The rest of the text, when no more follows. Afterwards the splitter is as new."""
        rest = self._take(self._text + _with_newlines(self._newlines.decode("", final=True)), "line")
        self._newlines.reset()
        self._line = 0
        self._newlines_before = None
        return rest

    def _take(self, text: str, final: Ending | None) -> list[Sentence]:
        window = Window(text, self._line, self._max_chars, final)
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

    def _skip_space(self, window: Window) -> bool:
        """Advance to the next sentence; return whether there is one."""
        end = window.space_end()
        if self._newlines_before is not None:
            self._newlines_before += window.text.count("\n", window.start, end)
        window.advance(end)
        return end < len(window.text)


def _with_newlines(piece: str) -> str:
    return piece.translate(_LINE_ENDS)


def split(text: str, max_chars: int) -> list[Sentence]:
    """All sentences of a whole text, each of at most `max_chars` characters.

    Examples
    --------
    >>> [sentence.text for sentence in split("It rains. It pours.", 300)]
    ['It rains.', 'It pours.']
    """
    splitter = SentenceSplitter(max_chars)
    return splitter.feed(text) + splitter.finish()


def is_speakable(sentence: str) -> bool:
    """Whether it holds a letter or a digit of any script. A tag such as [laugh] holds letters."""
    return any(map(str.isalnum, sentence))
