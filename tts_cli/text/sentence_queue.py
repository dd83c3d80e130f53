"""Sentences that wait to be taken, and how many may wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from tts_cli.segment import Sentence

AHEAD: Final = 6000
"""When sentences of so many characters wait to be spoken, no more text is read: some minutes of sound."""


class SentenceQueue:
    """Sentences that are known and were not taken yet."""

    def __init__(self) -> None:
        self._sentences: deque[Sentence] = deque()
        self.characters = 0

    def __bool__(self) -> bool:
        return bool(self._sentences)

    def add(self, sentences: list[Sentence]) -> None:
        """Append sentences."""
        self._sentences.extend(sentences)
        self.characters += sum(len(sentence.text) for sentence in sentences)

    def take(self, fits: Callable[[Sentence], bool] = lambda _: True) -> Sentence | None:
        """Remove and return the first sentence, if there is one and `fits` accepts it."""
        if not self._sentences or not fits(self._sentences[0]):
            return None
        sentence = self._sentences.popleft()
        self.characters -= len(sentence.text)
        return sentence
