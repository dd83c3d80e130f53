"""An utterance that a client of a WebSocket has asked for, as the client steers it."""

from __future__ import annotations

import asyncio

from tts_cli.errors import UsageError
from tts_cli.server.pieces import Pieces
from tts_cli.server.request import Request
from tts_cli.server.speech import Speech


class WebSocketUtterance:
    """An utterance that a client has asked for, from its first message to its last.

    Parameters
    ----------
    request
        What to speak.
    pieces
        Its text, if the client sends it in pieces.
    events
        Whether the client wants to know more than the sound and the measurements.
    """

    def __init__(self, request: Request, pieces: Pieces | None, events: bool) -> None:
        self.request = request
        self.pieces = pieces
        self.events = events
        self.cancelled = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.speech: Speech | None = None
        self.task: asyncio.Task[None] | None = None
        """Speaks it, or waits for a place."""

    def pause(self) -> None:
        """Send nothing more until `resume`."""
        self.flowing.clear()
        if self.speech is not None:
            self.speech.utterance.pause()

    def resume(self) -> None:
        """Go on."""
        self.flowing.set()
        if self.speech is not None:
            self.speech.utterance.resume()

    def skip(self, by: int) -> None:
        """Go so many segments forward. Raises `UsageError` if nothing was sent so far."""
        if self.speech is None or not self.speech.sent.chunks:
            raise UsageError("there is no sound to skip so far", "skip when some has come")
        self.speech.utterance.skip(by)

    def cancel(self) -> None:
        """End it, whatever it is doing."""
        self.cancelled = True
        self.flowing.set()
        if self.pieces is not None:
            self.pieces.end()
        if self.speech is not None:
            self.speech.cancel()
        elif self.task is not None:
            self.task.cancel()

    @property
    def computing(self) -> bool:
        """Whether it needs nothing of the client to go on."""
        return self.flowing.is_set() and (self.pieces is None or self.pieces.ended)
