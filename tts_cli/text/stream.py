"""From pieces of text to the sentences that can be spoken."""

from __future__ import annotations

from dataclasses import replace

from tts_cli.errors import NothingToSayError
from tts_cli.segment import Sentence
from tts_cli.text.escapes import EscapeFilter
from tts_cli.text.pauses import Patience
from tts_cli.text.splitting import SentenceSplitter, is_speakable


class SpeakableSentences:
    """Takes text in pieces of any size, gives the sentences that hold a letter or digit, each once it is whole.

    What is left out, such as `***`, does not hide a blank line before it.
    """

    def __init__(self, max_chars: int) -> None:
        self._escapes = EscapeFilter()
        self._splitter = SentenceSplitter(max_chars)
        self._found = False
        self._new_paragraph = False

    def feed(self, piece: str) -> list[Sentence]:
        """The sentences that `piece` makes whole."""
        return self._speakable(self._splitter.feed(self._escapes.feed(piece)))

    def pause(self, patience: Patience) -> list[Sentence]:
        """What can be spoken now that no text has come for a while."""
        return self._speakable(self._splitter.pause(patience))

    def rest(self) -> list[Sentence]:
        """What is left, now that nothing follows."""
        return self._speakable(self._splitter.finish())

    def finish(self) -> list[Sentence]:
        """The rest. Raises `NothingToSayError` where the whole text held nothing to speak."""
        rest = self.rest()
        if not self._found:
            raise NothingToSayError(
                "there is nothing to speak: the text holds no letters or digits", 'try: tts speak "Hello."'
            )
        return rest

    def _speakable(self, sentences: list[Sentence]) -> list[Sentence]:
        kept = []
        for sentence in sentences:
            self._new_paragraph |= sentence.new_paragraph and self._found
            if is_speakable(sentence.text):
                kept.append(replace(sentence, new_paragraph=self._new_paragraph))
                self._found, self._new_paragraph = True, False
        return kept
