"""ASGI middleware that refuses requests while too many connections are open."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from tts_cli.server.admission import RETRY_SECONDS, FullError
from tts_cli.server.failure import known_error
from tts_cli.server.request_guard import refuse


class ConnectionLimit:
    """Refuses requests of HTTP and WebSockets while too many connections are open.

    Parameters
    ----------
    app
        What gets the requests.
    crowded
        Whether more connections are open than the server serves.
    """

    def __init__(self, app: ASGIApp, crowded: Callable[[], bool]) -> None:
        self._app = app
        self._crowded = crowded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it and close its connection."""
        if scope["type"] in ("http", "websocket") and self._crowded():
            error = FullError("too many connections are open", f"try again in {RETRY_SECONDS} s")
            await refuse(known_error(error, close=True), scope, receive, send)
        else:
            await self._app(scope, receive, send)
