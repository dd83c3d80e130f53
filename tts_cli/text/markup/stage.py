"""The stage between the escape filter and the sentence splitter: what it takes, and what it gives."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from tts_cli.text.pauses import Patience

BLOCK: Final = 4096
"""How many characters a stage reads at a time, so that a large piece takes no longer than many small ones."""


class Passage(NamedTuple):
    """A piece of the text that is spoken."""

    text: str
    ended: bool = False
    """Whether a sentence ends after it, also without a mark, as a heading does."""


class Markup(Protocol):
    """Takes text in pieces of any size, and gives the passages that are spoken, each as soon as it is known."""

    def feed(self, piece: str) -> list[Passage]:
        """The passages that are known after `piece`."""
        ...

    def pause(self, patience: Patience) -> list[Passage]:
        """The passages that can be spoken when no text has come for a while."""
        ...

    def finish(self) -> list[Passage]:
        """The rest of the text, when no more follows. Afterwards the stage is as new."""
        ...


class NoMarkup:
    """Plain text: every character is spoken."""

    def feed(self, piece: str) -> list[Passage]:
        """The piece."""
        return [Passage(piece)]

    def pause(self, patience: Patience) -> list[Passage]:  # noqa: ARG002  nothing is held back
        """Nothing."""
        return []

    def finish(self) -> list[Passage]:
        """Nothing."""
        return []
