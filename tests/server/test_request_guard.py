"""Who may use the server: its names, pages of other sites, tokens, and the sizes of requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.harness import PATIENCE
from tests.server.serving import Server, say, serving

TOKEN = "correct-horse"


@pytest.fixture(scope="module")
def public() -> Iterator[Server]:
    """A server at all addresses of this machine."""
    with serving("--host", "0.0.0.0", TTS_SERVER_KEY=TOKEN) as server:
        yield server


def get(server: Server, path: str = "/readyz", method: str = "GET", **headers: str) -> Any:
    """The status, and the error if there is one. Headers' names have `_` for `-`."""
    client = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        client.request(method, path, None, {name.replace("_", "-"): value for name, value in headers.items()})
        response = client.getresponse()
        text = response.read()
        return response.status, json.loads(text)["error"]["code"] if response.status >= 400 else None
    finally:
        client.close()


def opened(server: Server, **headers: str) -> int:
    """The HTTP status that the opening of a WebSocket gets."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with connect(f"ws://127.0.0.1:{server.port}/ws/tts", proxy=None, additional_headers=fields) as client:
            assert say(client, text="Hi.").last["state"] == "done"
    except InvalidStatus as error:
        return error.response.status_code
    return 101


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1", "[::1]:1", "LOCALHOST."])
def test_a_local_server_answers_to_its_names(tone: Server, host: str) -> None:
    assert get(tone, Host=host) == (200, None)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "", "[", "0"])
def test_a_local_server_has_no_other_names(tone: Server, host: str) -> None:
    """A page of evil.example whose name leads here would otherwise read the answers (DNS rebinding)."""
    assert get(tone, Host=host) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1.evil.example"]
)
def test_pages_of_other_sites_are_refused(tone: Server, origin: str) -> None:
    assert get(tone, Origin=origin) == (403, "origin_not_allowed")
    assert opened(tone, Origin=origin) == 403


def test_a_page_of_the_server_itself_may_use_it(tone: Server) -> None:
    assert get(tone, Origin=tone.url) == (200, None)
    assert opened(tone, Origin=tone.url) == 101


def test_pages_of_a_named_site_may_use_it_and_no_others() -> None:
    """A browser asks first, without the token, and shows the page an answer only if the answer names its site."""
    named, other = "https://example.org", "https://example.com"
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    key = {"Authorization": f"Bearer {TOKEN}"}
    with serving("--token", TOKEN, "--allow-origin", f"{named}/") as server:

        def answer(method: str, origin: str, **headers: str) -> tuple[int, str | None]:
            client = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            with closing(client):
                client.request(method, "/v1/audio/voices", None, {"Origin": origin, **headers})
                response = client.getresponse()
                response.read()
                return response.status, response.headers["Access-Control-Allow-Origin"]

        assert answer("OPTIONS", named, **asking) == (200, named)
        assert answer("GET", named, **key) == (200, named)
        assert answer("GET", named) == (401, named)  # so that the page can say why
        for method, headers in (("OPTIONS", asking), ("GET", key)):
            assert answer(method, other, **headers) == (403, None)
        assert opened(server, Origin=named, **key) == 101
        assert opened(server, Origin=other, **key) == 403


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"])
def test_without_the_token_nothing_is_spoken(public: Server, given: str) -> None:
    headers: dict[str, str] = {"Authorization": given} if given else {}
    assert opened(public, **headers) == 401
    assert get(public, "/openapi.json", "GET", **headers) == (401, "invalid_api_key")
    assert get(public, "/readyz", "GET", **headers) == (200, None)


def test_with_the_token_everything_is_open_under_any_name(public: Server) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert opened(public, **headers) == 101
    assert get(public, "/openapi.json", "GET", Host="tts.example", **headers) == (200, None)
    assert TOKEN not in public.log.read_text()


def test_a_large_request_is_refused(tone: Server) -> None:
    assert get(tone, "/readyz", "POST", Content_Length="2000000")[0] == 413


def test_what_is_not_there_is_a_json_error(tone: Server) -> None:
    assert get(tone, "/nope") == (404, None)
    assert get(tone, "/readyz", "DELETE") == (405, None)
