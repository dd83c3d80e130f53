"""The app: its routes, and the middleware that every request passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp

from tts_cli import __version__
from tts_cli.errors import TTSError, UsageError
from tts_cli.server.access_log import AccessLog
from tts_cli.server.activity import ActivityCounter
from tts_cli.server.body_limit import BodyLimit
from tts_cli.server.cross_origin import CrossOrigin
from tts_cli.server.failure import known_error
from tts_cli.server.openai_api import add_openai_api
from tts_cli.server.request_guard import RequestGuard, error_response
from tts_cli.server.service import Service
from tts_cli.server.voice_making import PATH, VoiceMakerOf, add_voice_making
from tts_cli.server.web_page import FILES, add_page
from tts_cli.server.websocket import Conversation

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Paths that need no token, besides the files of the page. They tell nothing but whether the server is ready."""
METRICS: Final = "/metrics"
NO_OBJECT: Final = 'the body is no JSON object; send {"input": "Hello."} or so, with Content-Type: application/json'


def make_app(
    service: Service,
    hosts: frozenset[str] | None,
    token: str,
    origins: frozenset[str],
    voice_maker: VoiceMakerOf | None,
    started: Callable[[], None],
    add: Callable[[FastAPI, Service], None] | None,
) -> ASGIApp:
    """The whole app.

    Parameters
    ----------
    service
        What speaks.
    hosts, token, origins
        As for `RequestGuard`.
    voice_maker
        As for `add_voice_making`.
    started
        Called in the event loop when it runs.
    add
        Adds further routes.

    Returns
    -------
    ASGIApp
        The app with its middleware.
    """

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        started()
        yield

    # The pages that FastAPI makes of the OpenAPI document load scripts from foreign hosts.
    app = FastAPI(title="tts", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    _add_health(app, service)
    _add_sockets(app, service)
    add_openai_api(app, service)
    add_voice_making(app, service, voice_maker)
    add_page(app, service)
    if add is not None:
        add(app, service)
    _add_errors(app, service)
    _describe_errors(app)
    uploads = frozenset() if voice_maker is None else frozenset({PATH})
    counted = ActivityCounter(BodyLimit(app, uploads), service.use, OPEN_PATHS | {METRICS})
    guarded = RequestGuard(counted, hosts, token, OPEN_PATHS | FILES.keys(), origins)
    return AccessLog(CrossOrigin(guarded, origins), service.log)


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The server answers."""
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse)
    async def readyz() -> str:
        """The engine is loaded, and the server does not end."""
        _ = service.session  # raises if it is not ready
        return "ready\n"

    @app.get(METRICS, response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(service.monitor.text(), media_type=CONTENT_TYPE_LATEST)


def _add_sockets(app: FastAPI, service: Service) -> None:
    @app.websocket("/ws/tts")
    async def streaming(socket: WebSocket) -> None:
        await Conversation(socket, service, {}).run()

    @app.websocket("/ws/tts/simple")
    async def simple(socket: WebSocket) -> None:
        await Conversation(socket, service, {"mode": "simple"}).run()


def _add_errors(app: FastAPI, service: Service) -> None:
    @app.exception_handler(HTTPException)
    async def http_error(_request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return error_response(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        service.monitor.failed(UsageError("the request is wrong"))
        first = error.errors()[0]
        where = [part for part in first["loc"][1:] if isinstance(part, str)]
        if not where:
            return error_response(400, NO_OBJECT if first["loc"][0] == "body" else first["msg"])
        return error_response(400, f"{'.'.join(where)}: {first['msg']}"[:1000], param=where[0][:100])

    @app.exception_handler(TTSError)
    async def known(request: HttpRequest, error: Exception) -> Response:
        if request.url.path not in OPEN_PATHS:  # which ask whether it is ready, and are told
            service.monitor.failed(error)
        return known_error(error)


def _describe_errors(app: FastAPI) -> None:
    """Let the OpenAPI document say 400 for a wrong request, as this server does, and not FastAPI's 422."""
    of_routes = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            for path in of_routes()["paths"].values():
                for operation in path.values():
                    if operation["responses"].pop("422", None) is not None:
                        operation["responses"].setdefault("400", {"description": "The request is wrong"})
        return of_routes()

    app.openapi = document  # type: ignore[method-assign]
