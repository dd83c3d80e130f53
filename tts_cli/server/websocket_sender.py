"""Sends messages to the client of a WebSocket, one at a time.

Two tasks of a connection send. If both wait for a slow client, uvicorn may send the later message first, so that sound
would come after the answer to a message that follows a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from tts_cli.server.speech import STALLED_SECONDS


class WebSocketSender:
    """What goes to one client.

    Parameters
    ----------
    socket
        The connection.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._turn = asyncio.Lock()

    async def tell(self, message: Mapping[str, object]) -> None:
        """Send JSON. Raises `asyncio.TimeoutError` if the client reads nothing for `STALLED_SECONDS`."""
        await self.send(json.dumps(message), lambda: True)

    async def send(self, message: str | bytes, wanted: Callable[[], bool]) -> bool:
        """Send a message, if it is still wanted when the messages before it are sent. Returns whether it was.

        Raises `asyncio.TimeoutError` as `tell` does.
        """
        return await asyncio.wait_for(self._send(message, wanted), STALLED_SECONDS)

    async def close(self, code: int, reason: str) -> None:
        """End the connection, unless it has ended."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await asyncio.wait_for(self._socket.close(code, reason), STALLED_SECONDS)

    async def _send(self, message: str | bytes, wanted: Callable[[], bool]) -> bool:
        async with self._turn:
            if not wanted():
                return False
            if isinstance(message, str):
                await self._socket.send_text(message)
            else:
                await self._socket.send_bytes(message)
            return True
