"""An error as a client is told of it: the object that OpenAI's API has for errors."""

from __future__ import annotations

from tts_cli.errors import TTSError, UsageError
from tts_cli.server.admission import FullError, RefusedError
from tts_cli.shown import on_one_line


def failure(error: Exception, param: str | None = None, code: str | None = None) -> dict[str, str | None]:
    """The fields `message`, `type`, `param` and `code` of an error."""
    message = str(error) if isinstance(error, TTSError) else f"{type(error).__name__}: {error}"
    return {
        "message": on_one_line(message)[:1000],
        "type": kind_of(error),
        "param": param,
        "code": code,
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
