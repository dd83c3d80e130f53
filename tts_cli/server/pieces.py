"""The text of one utterance that a client sends in pieces, as a language model writes them."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from tts_cli.errors import UsageError
from tts_cli.server.request import TEXT_CHARACTERS, too_long


class Pieces(Iterator[str]):
    """An iterator that waits for the next piece. The event loop adds; a thread of the utterance reads.

    Nothing waits for room: all pieces together have at most `TEXT_CHARACTERS` characters.
    """

    def __init__(self) -> None:
        self.ended = False
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._characters = 0

    def add(self, piece: object) -> None:
        """Add a piece. Raises `UsageError` if it is no str, or the text becomes too long."""
        if not isinstance(piece, str):
            raise UsageError("text has to be a string", 'send {"type": "text", "text": "…"}')
        try:
            piece.encode()
        except UnicodeEncodeError as error:
            raise UsageError("the text holds half a character", "send whole characters") from error
        self._characters += len(piece)
        if self._characters > TEXT_CHARACTERS:
            raise too_long()
        if piece and not self.ended:
            self._pieces.put(piece)

    def end(self) -> None:
        """No more pieces come."""
        self.ended = True
        self._pieces.put(None)

    def __next__(self) -> str:
        piece = self._pieces.get()
        if piece is None:
            self._pieces.put(None)
            raise StopIteration
        return piece
