"""ASGI middleware that limits the body of a request: its size, and the time that it may take to arrive."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tts_cli.server.admission import FullError
from tts_cli.server.failure import CLOSE, known_error
from tts_cli.server.request import FIELDS_BYTES
from tts_cli.server.request_guard import error_response

BODY_SECONDS: Final = 30
UPLOAD_BYTES: Final = 25_000_000
"""The largest upload of a recording, as OpenAI's API has it."""
UPLOAD_SECONDS: Final = 120


class BodyLimit:
    """Reads the body of each request of HTTP before the app gets it.

    Parameters
    ----------
    app
        What gets the requests, with their bodies read.
    uploads
        Paths to which recordings are posted. They take larger bodies, but one request at a time: another is refused
        until the app has answered the first.
    """

    def __init__(self, app: ASGIApp, uploads: frozenset[str]) -> None:
        self._app = app
        self._uploads = uploads
        self._uploading = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when its body is here, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] != "POST" or scope["path"] not in self._uploads:
            await self._bounded(scope, receive, send, FIELDS_BYTES, BODY_SECONDS)
        elif self._uploading:
            await known_error(FullError("another voice is being made", "try again when it is done"), close=True)(
                scope, receive, send
            )
        else:
            self._uploading = True
            try:
                await self._bounded(scope, receive, send, UPLOAD_BYTES, UPLOAD_SECONDS)
            finally:
                self._uploading = False

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, most: int, seconds: float) -> None:
        try:
            body = await asyncio.wait_for(_body(scope, receive, most), seconds)
        except _TooLargeError:
            large = f"the request is larger than {most} bytes; send less"
            await error_response(413, large, headers=CLOSE)(scope, receive, send)
            return
        except asyncio.TimeoutError:
            late = "the request did not arrive in time"
            await error_response(408, late, headers=CLOSE)(scope, receive, send)
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


async def _body(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The whole body; None if the client has left."""
    announced = Headers(scope=scope).get("content-length", "0")
    if len(announced) > 18 or (announced.isdecimal() and int(announced) > most):
        raise _TooLargeError
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            raise _TooLargeError
        if not message.get("more_body"):
            return bytes(body)
