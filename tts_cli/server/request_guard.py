"""ASGI middleware that refuses requests that must not reach the routes: foreign hosts and origins, and missing tokens.

A web page that a user visits can send requests to this machine. By a DNS name of its own that leads here (DNS
rebinding) it could also read the answers. So the `Host` of every request and the `Origin` of a browser's requests are
checked, on WebSockets as well, to which browsers apply no rule of their own.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Set
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tts_cli.printable import on_one_line

LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PROTOCOL: Final = "tts"
"""The subprotocol of WebSockets. A browser sends the token as another one, because it cannot set `Authorization`."""


class RequestGuard:
    """Passes on requests with an allowed host, an allowed origin and the token.

    Parameters
    ----------
    app
        What gets the requests that may pass.
    hosts
        Names by which the server may be called; None for any.
    token
        What clients must know; empty if there is no token.
    open_paths
        Paths that need no token.
    origins
        Other sites whose pages may use the server, as browsers send them in `Origin`.
    """

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str] | None, token: str, open_paths: Set[str], origins: Set[str]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins
        self._open_paths = open_paths
        self._bearer = token.encode()
        self._protocol = b"token." + urlsafe_b64encode(self._bearer).rstrip(b"=")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] in ("http", "websocket") and (refusal := self._refusal(scope)) is not None:
            await refuse(refusal, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name(f"//{host}") not in self._hosts:
            return error_response(403, "this server has no such name; call it localhost", code="host_not_allowed")
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and not _same(origin, host):
            return error_response(403, "pages of other sites may not use this server", code="origin_not_allowed")
        if self._bearer and scope["path"] not in self._open_paths and not self._knows_token(scope, headers):
            return error_response(
                401,
                "the token is missing or wrong; send it as: Authorization: Bearer TOKEN",
                kind="authentication_error",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # `compare_digest` takes as long for every wrong token.
        known = hmac.compare_digest(given.strip().encode(), self._bearer) and scheme.lower() == "bearer"
        for offered in scope.get("subprotocols", ()):
            known |= hmac.compare_digest(offered.encode(), self._protocol)
        return known


def error_response(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the response for an error, with the fields that OpenAI's API has.

    Parameters
    ----------
    status
        The HTTP status.
    message
        What is wrong and what to do.
    kind
        The `type` of the error.
    param
        The field of the request that is wrong; None if it is not one field.
    code
        A word for programs; None if there is none.
    headers
        More headers of the response.

    Returns
    -------
    Response
        JSON.
    """
    error = {"message": on_one_line(message), "type": kind, "param": param, "code": code}
    return JSONResponse({"error": error}, status, dict(headers or {}))


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or the opening of a WebSocket, with an HTTP response.

    Parameters
    ----------
    response
        The answer.
    scope, receive, send
        Those of the ASGI call.
    """
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    await receive()  # "websocket.connect"
    await send(
        {"type": "websocket.http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


def _same(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from this server, as the browser called it."""
    return bool(host) and origin.partition("://")[2].lower() == host.lower()


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
