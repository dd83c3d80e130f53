"""Turns pieces of text into the sentences that can be spoken."""

from __future__ import annotations

from dataclasses import replace

from tts_cli.errors import NothingToSayError
from tts_cli.segment import Sentence
from tts_cli.text.escapes import EscapeFilter
from tts_cli.text.markup.stage import Markup, NoMarkup, Passage
from tts_cli.text.pauses import Patience
from tts_cli.text.splitting import SentenceSplitter, is_speakable


class SpeakableSentences:
    """Takes text in pieces of any size, and gives each sentence that holds a letter or digit, when it is complete.

    If a sentence is left out, such as `***`, the next one gets its blank line.

    Parameters
    ----------
    max_chars
        The most characters of a sentence.
    markup
        Removes what is not spoken; None to remove nothing.

    Examples
    --------
    >>> sentences = SpeakableSentences(300)
    >>> [sentence.text for sentence in sentences.feed("*** It rains. It pou")]
    ['*** It rains.']
    """

    def __init__(self, max_chars: int, markup: Markup | None = None) -> None:
        self._escapes = EscapeFilter()
        self._markup = markup or NoMarkup()
        self._splitter = SentenceSplitter(max_chars)
        self._has_words = False
        self._found = False
        self._new_paragraph = False

    def feed(self, piece: str) -> list[Sentence]:
        """The sentences that `piece` completes."""
        text = self._escapes.feed(piece)
        self._has_words = self._has_words or is_speakable(text)
        return self._split(self._markup.feed(text))

    def pause(self, patience: Patience) -> list[Sentence]:
        """The sentences that can be spoken when no text has come for a while."""
        known = self._split(self._markup.pause(patience))
        return known + self._speakable(self._splitter.pause(patience))

    def rest(self) -> list[Sentence]:
        """The rest of the text, when no more follows."""
        known = self._split(self._markup.finish())
        return known + self._speakable(self._splitter.finish())

    def finish(self) -> list[Sentence]:
        """The same as `rest`. Raises `NothingToSayError` if the whole text holds nothing to speak."""
        rest = self.rest()
        if not self._found and self._has_words:
            raise NothingToSayError(
                "there is nothing to speak: all words of the text are in code or other markup that is left out",
                "add: --code speak, or --format plain",
            )
        if not self._found:
            raise NothingToSayError(
                "there is nothing to speak: the text holds no letters or digits", 'try: tts speak "Hello."'
            )
        return rest

    def _split(self, passages: list[Passage]) -> list[Sentence]:
        sentences: list[Sentence] = []
        for passage in passages:
            sentences += self._splitter.feed(passage.text)
            if passage.ended:
                sentences += self._splitter.end_sentence()
        return self._speakable(sentences)

    def _speakable(self, sentences: list[Sentence]) -> list[Sentence]:
        kept = []
        for sentence in sentences:
            self._new_paragraph |= sentence.new_paragraph and self._found
            if is_speakable(sentence.text):
                kept.append(replace(sentence, new_paragraph=self._new_paragraph))
                self._found, self._new_paragraph = True, False
        return kept
