"""ASGI middleware that accepts requests without a token only at a loopback address.

A server that binds its own socket knows whether other machines reach it. Behind a proxy of Ray Serve, which binds the
socket, only the connection tells: the proxy passes on the address at which it has accepted it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Set

from starlette.types import ASGIApp, Receive, Scope, Send

from tts_cli.server.request_guard import LOCAL, RequestGuard, error_response, refuse

NO_TOKEN = "other machines could reach this server at this address; set TTS_SERVER_KEY where it is started"


class LoopbackOrToken:
    """Passes on what arrives at a loopback address and calls the server by a local name.

    Other requests pass only if there is a token.

    Parameters
    ----------
    app
        What gets the requests that may pass. It checks their token.
    token
        What clients must know. If it is empty, only what arrives at a loopback address passes.
    origins
        As for `RequestGuard`.
    """

    def __init__(self, app: ASGIApp, token: str, origins: Set[str]) -> None:
        self._elsewhere = app if token else None
        self._here = RequestGuard(app, LOCAL, "", frozenset(), origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"there are no requests of the type {scope['type']}")
        if _is_loopback(scope.get("server")):
            await self._here(scope, receive, send)
        elif self._elsewhere is not None:
            await self._elsewhere(scope, receive, send)
        else:
            await refuse(error_response(403, NO_TOKEN, code="token_needed"), scope, receive, send)


def _is_loopback(server: tuple[str, int | None] | None) -> bool:
    try:
        return server is not None and ipaddress.ip_address(server[0].partition("%")[0]).is_loopback
    except ValueError:  # a file, or a name
        return False
