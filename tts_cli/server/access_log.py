"""ASGI middleware that writes a line for each request: who asked for what, the answer, seconds and bytes."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tts_cli.server.log import Log
from tts_cli.server.speech import now


class AccessLog:
    """Writes a line for each request. Queries are not logged.

    Parameters
    ----------
    app
        What gets the requests.
    log
        Where the lines go.
    """

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write its line at the end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began, status, sent = now(), "left", 0

        async def count(message: Message) -> None:
            nonlocal status, sent
            if "status" in message:
                status = str(message["status"])
            elif message["type"] == "websocket.accept":
                status = "101"
            elif message["type"] == "websocket.close":
                status = str(message.get("code", 1000))
            sent += len(message.get("body") or message.get("bytes") or message.get("text") or "")
            await send(message)

        try:
            await self._app(scope, receive, count)
        finally:
            client = (scope.get("client") or ("-",))[0]
            method = scope.get("method", "WS")
            self._log.line(f"{client} {method} {scope['path'][:200]} {status} {now() - began:.3f} s {sent} bytes")
