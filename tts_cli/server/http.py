"""HTTP/1.1 by uvicorn and h11, with a limit on how long the head of a request may take to arrive."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 20


class PatientProtocol(H11Protocol):
    """Closes a connection whose client sends half a request and then nothing."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        super().data_received(data)
        if self._waits() and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)
        elif not self._waits():
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _waits(self) -> bool:
        """Whether the head of a request is still incomplete."""
        return self.cycle is None or self.cycle.response_complete

    def _give_up(self) -> None:
        self._deadline = None
        # After the opening of a WebSocket the transport has another protocol.
        if self._waits() and self.transport.get_protocol() is self:
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
