"""How a client is told of an error: by the error object of OpenAI's API."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from tts_cli.errors import TTSError, UsageError
from tts_cli.printable import on_one_line
from tts_cli.server.admission import RETRY_SECONDS, FullError, RefusedError
from tts_cli.server.request import FieldError
from tts_cli.server.request_guard import error_response

CLOSE: Final = {"Connection": "close"}
"""Headers of an answer after which nothing more is read of the request."""


def failure(error: Exception) -> dict[str, str | None]:
    """The fields `message`, `type`, `param` and `code` of an error."""
    message = str(error) if isinstance(error, TTSError) else f"{type(error).__name__}: {error}"
    return {
        "message": on_one_line(message)[:1000],
        "type": kind_of(error),
        "param": error.param if isinstance(error, FieldError) else None,
        "code": None,
    }


def kind_of(error: Exception) -> str:
    """OpenAI's word for the kind of an error."""
    if isinstance(error, FullError):
        return "rate_limit_error"
    if isinstance(error, RefusedError):
        return "service_unavailable_error"
    return "invalid_request_error" if isinstance(error, UsageError) else "server_error"


def status_of(error: Exception) -> int:
    """The HTTP status for an error."""
    if isinstance(error, RefusedError):
        return 429 if isinstance(error, FullError) else 503
    return 400 if isinstance(error, UsageError) else 500


def known_error(error: Exception, *, close: bool = False) -> Response:
    """The response for an error. `close` ends the connection, for a request whose body was not read."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if isinstance(error, RefusedError) else {}
    if close:
        headers |= CLOSE
    told = failure(error)
    return error_response(
        status_of(error), told["message"] or "", kind=kind_of(error), param=told["param"], headers=headers
    )
