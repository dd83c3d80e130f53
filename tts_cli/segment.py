"""What an engine is given at once: a few sentences, with their number and the way they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["cut", "clause", "sentence", "line", "paragraph", "text"]
"""How a sentence ends: `cut` at a space because it is too long, `clause` at a comma or its kin because it is too long,
`sentence` at its mark, `line` at the end of a heading or a list item, `paragraph` at a blank line, `text` at the end of
the whole text."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, or a part of one that is too long to be spoken at once."""

    text: str
    ending: Ending = "sentence"


@dataclass(frozen=True, slots=True)
class Segment:
    """Sentences that an engine speaks together.

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

        Examples
        --------
        >>> Segment.of("Hello, world.").text
        'Hello, world.'
        """
        return cls(number, (Sentence(text, ending),))

    @property
    def text(self) -> str:
        """Its sentences, joined by spaces."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def ending(self) -> Ending:
        """How its last sentence ends."""
        return self.sentences[-1].ending
