"""Lets pages of named sites use the server (CORS); without names, no page of another site may.

The header fields: fetch.spec.whatwg.org/#http-cors-protocol.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS: Final = ("GET", "POST", "DELETE")
READ: Final = ("Authorization", "Content-Type")
"""Fields that such a page may set, besides those that every page may."""
TOLD: Final = ("Retry-After",)
"""Fields that such a page may read, besides those that every page may."""


class CrossOrigin:
    """ASGI middleware that tells browsers which pages of other sites may use the server.

    Parameters
    ----------
    app
        What gets the requests. It refuses those of other sites that are not named.
    origins
        The sites, as browsers send them in `Origin`.
    """

    def __init__(self, app: ASGIApp, origins: Set[str]) -> None:
        self._app = app
        self._origins = origins
        self._named = CORSMiddleware(
            app, allow_origins=tuple(origins), allow_methods=METHODS, allow_headers=READ, expose_headers=TOLD
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer a browser that asks before it sends one."""
        named = scope["type"] == "http" and Headers(scope=scope).get("origin") in self._origins
        await (self._named if named else self._app)(scope, receive, send)
