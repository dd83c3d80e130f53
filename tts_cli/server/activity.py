"""Whether anybody uses the server: requests that are being answered, and open WebSockets."""

from __future__ import annotations

from collections.abc import Set

from starlette.types import ASGIApp, Receive, Scope, Send

from tts_cli.server.speech import now


class Activity:
    """Counts what is open. The event loop counts; any thread may read."""

    def __init__(self) -> None:
        self._open = 0
        self._ended = now()

    @property
    def idle(self) -> float:
        """For how many seconds nothing has been open."""
        return 0.0 if self._open else now() - self._ended

    def begin(self) -> None:
        """A request has come, or a WebSocket."""
        self._open += 1

    def end(self) -> None:
        """It has been answered, or is closed."""
        self._ended = now()  # first, because another thread may read in between
        self._open -= 1


class ActivityCounter:
    """ASGI middleware that counts requests and WebSockets. An open connection without a request does not count.

    Parameters
    ----------
    app
        What gets the requests.
    use
        Counts them.
    uncounted
        Paths that tell whether the server is well, for programs that ask again and again.
    """

    def __init__(self, app: ASGIApp, use: Activity, uncounted: Set[str]) -> None:
        self._app = app
        self._use = use
        self._uncounted = uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in self._uncounted:
            await self._app(scope, receive, send)
            return
        self._use.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._use.end()
