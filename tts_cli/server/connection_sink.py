"""The sink whose reader is a connection: an utterance writes in its thread, the event loop takes what was written."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tts_cli.audio import AudioChunk, Samples
from tts_cli.playback import Sink
from tts_cli.segment import Segment

ROOM: Final = 4
"""Chunks that wait for a connection. With a slower reader the utterance waits."""


class Encoder(Protocol):
    """Turns samples into bytes of one format, while they come."""

    def encode(self, samples: Samples) -> bytes:
        """The bytes that are complete with these samples; may be empty."""
        ...

    def finish(self) -> bytes:
        """The rest, after the last samples."""
        ...

    def close(self) -> None:
        """Release what it holds, whether it has finished or not."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What a chunk became, on its way to a listener."""

    segment: Segment | None
    """The segment that it belongs to; None for the bytes that end a format."""
    data: bytes
    samples: int
    """How many samples went into it."""


class ConnectionSink(Sink):
    """Holds at most `ROOM` encoded chunks until the event loop takes them.

    Parameters
    ----------
    encoder
        Makes the bytes.
    closed
        Called in the event loop, once, when the utterance has ended and has closed everything.
    """

    def __init__(self, encoder: Encoder, closed: Callable[[], None]) -> None:
        self._encoder = encoder
        self._tell_closed = closed
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._pieces: deque[Piece] = deque()
        self._current = 0
        """The number of the segment that the listener was given last."""
        self._interrupted = False
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above but the first three

    def write(self, chunk: AudioChunk, needed: float) -> None:  # noqa: ARG002
        """Encode a chunk, and wait for room."""
        self._put(Piece(chunk.segment, self._encoder.encode(chunk.samples), len(chunk.samples)))

    def skip(self, by: int) -> int | None:
        """Drop the chunks that wait and are not wanted. A connection cannot take sound back, so `by` is positive."""
        with self._changed:
            wanted = self._current + by
            self._pieces = deque(
                piece for piece in self._pieces if piece.segment is None or piece.segment.number >= wanted
            )
            self._changed.notify_all()
        return wanted

    def finish(self) -> None:
        """Give the end of the format. What waits is delivered after the utterance has ended."""
        if rest := self._encoder.finish():
            self._put(Piece(None, rest, 0))

    def interrupt(self) -> None:
        """Drop everything, and end the wait for room."""
        with self._changed:
            self._interrupted = True
            self._pieces.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Release the encoder, and tell the event loop that no more comes."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
        try:
            self._encoder.close()
        finally:
            self._call(self._end)

    async def take(self) -> Piece | None:
        """The next piece, after waiting for it; None at the end. Called in the event loop."""
        while True:
            with self._changed:
                if self._pieces:
                    piece = self._pieces.popleft()
                    if piece.segment is not None:
                        self._current = piece.segment.number
                    self._changed.notify_all()
                    return piece
                if self._closed:
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def _put(self, piece: Piece) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._interrupted or len(self._pieces) < ROOM)
            if self._interrupted:
                return
            self._pieces.append(piece)
        self._call(self._arrived.set)

    def _end(self) -> None:
        self._arrived.set()
        self._tell_closed()

    def _call(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the connection
            self._loop.call_soon_threadsafe(function)
