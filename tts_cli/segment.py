"""Sentences and segments: the text that an engine is given at once, with its number and its ending."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

MAX_CHARS: Final = 300
"""The longest text that an engine is given at once. Models of speech take no more, or speak longer texts worse."""
Ending: TypeAlias = Literal["sentence", "line", "clause", "cut"]
"""How a sentence ends.

- `sentence`: at its mark.
- `line`: without a mark, at the end of a line or of the text, as a heading or a list item ends.
- `clause`: at a comma or a similar mark, because it is too long to be spoken at once. The sentence continues.
- `cut`: anywhere else, for the same reason. The sentence continues."""

_MARKS = ".!?…:;,‽。！？।"
_CLOSING = "\"'”’»)]}*_`"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, or a part of one that is too long to be spoken at once.

    Attributes
    ----------
    text
        Its words, separated by single spaces.
    ending
        How it ends.
    new_paragraph
        Whether there is a blank line before it. A sentence is given as soon as it is complete, when the line after it
        may not be written yet; so the sentence after the blank line has the flag.
    """

    text: str
    ending: Ending = "sentence"
    new_paragraph: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """Sentences of one paragraph that an engine speaks together.

    Attributes
    ----------
    number
        The segment's place in its text, from 0.
    sentences
        One sentence or more, in order.
    """

    number: int
    sentences: tuple[Sentence, ...]

    @classmethod
    def of(cls, text: str, number: int = 0, ending: Ending = "sentence") -> Segment:
        """A segment of one sentence.

        Parameters
        ----------
        text
            Its text.
        number
            Its place in the text that is spoken, from 0.
        ending
            How the sentence ends.

        Returns
        -------
        Segment
            A segment without a blank line before it.

        Examples
        --------
        >>> Segment.of("Hello, world.").text
        'Hello, world.'
        """
        return cls(number, (Sentence(text, ending),))

    def joined(self, sentence: Sentence) -> Segment:
        """This segment with one more sentence."""
        return Segment(self.number, (*self.sentences, sentence))

    @property
    def text(self) -> str:
        """Its sentences, joined by spaces. A heading or list item before another sentence gets a full stop.

        Examples
        --------
        >>> Segment.of("Chapter One", ending="line").joined(Sentence("It was night.")).text
        'Chapter One. It was night.'
        """
        *others, last = self.sentences
        return " ".join([*map(_closed, others), last.text])

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each sentence is in `text`: its first character, and the one after its last.

        Examples
        --------
        >>> Segment.of("It rains.").joined(Sentence("It pours.")).spans
        [(0, 9), (10, 19)]
        """
        spans: list[tuple[int, int]] = []
        for sentence in self.sentences:
            start = spans[-1][1] + 1 if spans else 0
            length = len(sentence.text if sentence is self.sentences[-1] else _closed(sentence))
            spans.append((start, start + length))
        return spans

    @property
    def ending(self) -> Ending:
        """How its last sentence ends."""
        return self.sentences[-1].ending

    @property
    def new_paragraph(self) -> bool:
        """Whether there is a blank line before it."""
        return self.sentences[0].new_paragraph

    def seed(self, seed: int) -> int:
        """The seed for everything random in this segment, in a text that is spoken with `seed`.

        Segments have different seeds, so a sentence that is repeated does not sound exactly the same. The first segment
        has `seed` itself.

        Examples
        --------
        >>> Segment.of("Hello.").seed(5)
        5
        """
        if self.number == 0:
            return seed
        digest = hashlib.blake2b(f"{seed}:{self.number}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 2


def _closed(sentence: Sentence) -> str:
    """Its text, with a mark at its end, so that another sentence can follow."""
    marked = sentence.ending != "line" or sentence.text.rstrip(_CLOSING).endswith(tuple(_MARKS))
    return sentence.text if marked else sentence.text + "."
