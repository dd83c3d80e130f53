"""What requests need depends on the address at which their connection has arrived."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from tts_cli.server.loopback import LoopbackOrToken

LOOPBACK = ["127.0.0.1", "127.8.0.1", "::1", "::1%lo"]
ELSEWHERE = ["192.0.2.7", "2001:db8::7", "0.0.0.0", "/run/tts.sock", "localhost", None]


def answer(server: str | None, host: str, token: str, kind: str = "http") -> int:
    """The status that a client gets whose connection has arrived at `server`."""
    sent: list[Any] = []
    app = LoopbackOrToken(PlainTextResponse("passed"), token, frozenset())
    scope: dict[str, Any] = {"type": kind, "path": "/", "headers": [(b"host", host.encode())], "method": "GET"}
    scope["server"] = None if server is None else (server, 8000)

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize("token", ["", "secret"])
@pytest.mark.parametrize("server", LOOPBACK)
def test_at_a_loopback_address_only_local_names_pass(server: str, token: str) -> None:
    assert answer(server, "localhost:8000", token) == 200
    assert answer(server, "rebound.example:8000", token) == 403
    assert answer(server, "rebound.example:8000", token, "websocket") == 403


@pytest.mark.parametrize("server", ELSEWHERE)
def test_at_other_addresses_any_name_passes_where_there_is_a_token(server: str | None) -> None:
    assert answer(server, "speech.example", "secret") == 200
    assert answer(server, "localhost", "") == 403
    assert answer(server, "localhost", "", "websocket") == 403
