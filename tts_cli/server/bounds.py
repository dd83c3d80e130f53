"""A layer that bounds the body of a request: in size, and in the time that it may take to arrive."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tts_cli.server.guard import error_response
from tts_cli.server.request import FIELDS_BYTES

BODY_SECONDS: Final = 30


class Bounds:
    """A layer before the app.

    Parameters
    ----------
    app
        What gets the requests, with their bodies read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when its body is here, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_body(scope, receive), BODY_SECONDS)
        except _TooLargeError:
            large = f"the request is larger than {FIELDS_BYTES} bytes; send the text in parts"
            await error_response(413, large, headers={"Connection": "close"})(scope, receive, send)
            return
        except asyncio.TimeoutError:
            late = "the request did not arrive in time"
            await error_response(408, late, headers={"Connection": "close"})(scope, receive, send)
            return
        if body is None:
            return
        first: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def read() -> Message:
            nonlocal first
            if first is None:
                return await receive()
            message, first = first, None
            return message

        await self._app(scope, read, send)


class _TooLargeError(Exception):
    pass


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body; None if the client has left."""
    announced = Headers(scope=scope).get("content-length", "0")
    if len(announced) > 18 or (announced.isdecimal() and int(announced) > FIELDS_BYTES):
        raise _TooLargeError
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > FIELDS_BYTES:
            raise _TooLargeError
        if not message.get("more_body"):
            return bytes(body)
