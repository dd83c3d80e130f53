"""Lets a replica wait for slow listeners behind a proxy that would store all that they have not read.

A proxy of Ray Serve takes from a replica whatever comes. `Telling`, in the proxy, mixes into what the client sends how
many bytes the connection has taken; `Waiting`, in the replica, sends no more than `WINDOW` bytes ahead of that.

ASGI, whose messages both read and write: asgi.readthedocs.io/en/latest/specs/www.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW: Final = 262_144
"""Bytes between a replica and a connection: 5 s of PCM at 24 kHz."""
STEP: Final = WINDOW // 4
"""Bytes after which the proxy tells again. Each time, it sends a message."""
KIND: Final = "tts.taken"
"""The type of that message, and the mark of a request whose proxy tells."""


def in_proxy() -> list[Middleware]:
    """The middleware of the proxies. Ray Serve calls this by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(Telling)]


class Telling:
    """Middleware in the proxy.

    Parameters
    ----------
    app
        The proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and tell how much of the answer the connection has taken."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        taken = told = 0
        much = asyncio.Event()
        reading: asyncio.Future[Message] | None = None

        async def count(message: Message) -> None:
            nonlocal taken
            await send(message)  # returns when the connection has room
            taken += _size(message)
            if taken - told >= STEP:
                much.set()

        async def mix() -> Message:
            nonlocal told, reading
            reading = reading or asyncio.ensure_future(receive())
            telling = asyncio.ensure_future(much.wait())
            either: set[asyncio.Future[Any]] = {reading, telling}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                telling.cancel()
            if reading.done():
                message, reading = reading.result(), None
                return message
            much.clear()
            told = taken
            return {"type": KIND, "bytes": taken}

        scope["extensions"] = {**scope.get("extensions", {}), KIND: {}}
        try:
            await self._app(scope, mix, count)
        finally:
            if reading is not None:
                reading.cancel()


class Waiting:
    """Middleware in the replica, before the app. It does nothing where the proxy does not tell.

    Parameters
    ----------
    app
        What gets the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and let its answers wait for the connection."""
        if KIND not in scope.get("extensions", {}):
            await self._app(scope, receive, send)
            return
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        sent = taken = 0
        room = asyncio.Event()
        room.set()

        async def sort() -> None:
            nonlocal taken
            while True:
                message = await _or_error(receive())
                if isinstance(message, dict) and message["type"] == KIND:
                    taken = message["bytes"]
                    if sent - taken < WINDOW:
                        room.set()
                    continue
                arrived.put_nowait(message)
                if not isinstance(message, dict) or message["type"].endswith(".disconnect"):
                    room.set()  # the app gets to know it, and sends no more
                    return

        async def read() -> Any:
            message = await arrived.get()
            if sorting.done() and arrived.empty():
                arrived.put_nowait(message)  # an end is read as often as the app asks
            if isinstance(message, Exception):
                raise message
            return message

        async def wait(message: Message) -> None:
            nonlocal sent
            if sent - taken >= WINDOW and not sorting.done():
                room.clear()
                await room.wait()
            sent += _size(message)
            await send(message)

        sorting = asyncio.ensure_future(sort())
        try:
            await self._app(scope, read, wait)
        finally:
            sorting.cancel()


def _size(message: Message) -> int:
    return len(message.get("body") or message.get("bytes") or message.get("text") or "")


async def _or_error(awaited: Awaitable[Any]) -> Any:
    try:
        return await awaited
    except Exception as error:  # noqa: BLE001  the app's task raises it
        return error
