"""Decides who may speak now: a limited number at once, while a limited number wait in the order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque

from tts_cli.errors import TTSError

RETRY_SECONDS = 2
"""After how many seconds a refused client should try again."""


class RefusedError(TTSError):
    """The server does not take this request now, but may take it later."""


class FullError(RefusedError):
    """All places are taken, and so is the queue."""


class UnreadyError(RefusedError):
    """The engine is being loaded, or the server is ending."""


class Admission:
    """The places of listeners, and the queue for them. Used in the event loop only.

    Parameters
    ----------
    places
        How many may speak at once.
    waiting
        How many may wait for a place.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self.places = places
        self.taken = 0
        self.most_waiting = waiting
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._queue)

    async def enter(self) -> None:
        """Take a place, after waiting for one. Each `enter` that returns needs one `leave`.

        Raises
        ------
        FullError
            If too many wait already.
        """
        if self.taken < self.places:
            self.taken += 1
            return
        if len(self._queue) >= self.most_waiting:
            raise FullError("the server is busy: all its places are taken", f"try again in {RETRY_SECONDS} s")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                self._queue.remove(turn)
            raise

    def leave(self) -> None:
        """Give the place to the one who has waited longest, or free it."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def refuse_waiting(self, error: RefusedError) -> None:
        """Raise `error` in everyone who waits."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(error)
