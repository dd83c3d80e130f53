"""Who has a place at the server, who waits for one, and what is left of those who have gone."""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.harness import PATIENCE
from tests.server.serving import ENDLESS, TONE, Server, hear, say, send, serving
from tts_cli.server.address import SENT_BYTES, bind


def test_who_leaves_frees_the_place_at_once(slow: Server) -> None:
    with slow.connect() as waiting:
        with slow.connect() as leaving:
            send(leaving, {"text": ENDLESS})
            leaving.recv(PATIENCE)
            send(waiting, {"text": "Hi."})
        heard = hear(waiting)
    assert heard.last["state"] == "done"
    assert heard.last["queued_ms"] > 0


@pytest.mark.parametrize("path", ["/ws/tts", "/ws/tts/simple"])
def test_who_leaves_in_the_middle_of_a_text_or_of_simple_mode_frees_the_place(slow: Server, path: str) -> None:
    with slow.connect() as waiting:
        with slow.connect(path) as leaving:
            send(leaving, {"type": "text", "text": "And so on and on, without an end to it. And"})
            slow.wait_for(listeners=1)
            send(waiting, {"text": "Hi."})
            slow.wait_for(waiting=1)
        assert hear(waiting).last["state"] == "done"
    slow.wait_for(listeners=0)


def test_who_leaves_while_waiting_leaves_the_queue(slow: Server) -> None:
    with slow.connect() as first:
        send(first, {"text": ENDLESS})
        slow.wait_for(listeners=1)
        with slow.connect() as leaving:
            send(leaving, {"text": "Hi."})
            slow.wait_for(waiting=1)
        slow.wait_for(waiting=0, listeners=1)
        with slow.connect() as patient:
            send(patient, {"text": "Hi."})
            slow.wait_for(waiting=1)
            send(first, {"type": "cancel"})
            hear(first)
            assert hear(patient).last["state"] == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_those_who_come_and_leave_leave_nothing_behind(tone: Server) -> None:
    def come_and_leave(number: int) -> None:
        if number % 4 == 0:  # an encoder of FFmpeg has threads
            body = json.dumps({"input": ENDLESS, "response_format": "opus" if number % 8 else "aac"}).encode()
            head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            with socket.create_connection(("127.0.0.1", tone.port), PATIENCE) as client:
                client.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
                assert client.recv(15) == b"HTTP/1.1 200 OK"
            return
        with tone.connect("/ws/tts" if number % 2 else "/ws/tts/simple") as client:
            send(client, {"type": "speak", "text": ENDLESS})
            if number % 3:
                client.recv(PATIENCE)
            if number % 5 == 0:
                client.socket.shutdown(socket.SHUT_RDWR)

    def held() -> list[int]:
        tone.wait_for(listeners=0, waiting=0)
        return [len(list(Path(f"/proc/{tone.process.pid}/{kind}").iterdir())) for kind in ("task", "fd")]

    for number in range(8):  # threads and files that stay are there afterwards
        come_and_leave(number)
    before = held()
    for number in range(40):
        come_and_leave(number)
    deadline = time.monotonic() + PATIENCE
    while any(now > then for now, then in zip(held(), before, strict=True)):
        assert time.monotonic() < deadline, (before, held())


def test_beyond_the_queue_a_client_is_refused(slow: Server) -> None:
    with slow.connect() as first, slow.connect() as second, slow.connect() as third:
        send(first, {"text": ENDLESS})
        first.recv(PATIENCE)
        send(second, {"text": "Hi."})
        send(second, {"text": "Ho."})
        say_error(second, {"type": "end"})  # the answer shows that the messages before it were read
        send(third, {"text": "Hi."})
        with pytest.raises(ConnectionClosed) as closed:
            hear(third)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "busy" in closed.value.rcvd.reason) == (1013, True)
        send(first, {"type": "cancel"})
        assert hear(first).last["state"] == "cancelled"
        assert [hear(second).last["state"] for _ in range(2)] == ["done", "done"]


def test_a_client_that_waits_can_cancel(slow: Server) -> None:
    with slow.connect() as first, slow.connect() as second:
        send(first, {"text": ENDLESS})
        first.recv(PATIENCE)
        send(second, {"text": "Hi."}, {"type": "cancel"})
        assert hear(second).last == {"type": "done", "state": "cancelled"}


def say_error(client: ClientConnection, message: dict[str, object]) -> None:
    send(client, message)
    assert hear(client).last["type"] == "error"


def test_who_plays_while_it_reads_is_not_taken_for_gone() -> None:
    """Pings come after the sound that was sent before them, and so are not answered in time."""
    often = "import functools, uvicorn; from tts_cli.server import running; running.PING_SECONDS = 0.1"
    hasty = "uvicorn.Config.__init__ = functools.partialmethod(uvicorn.Config.__init__, ws_ping_timeout=0.2)"
    with serving(engine=TONE, before=f"{often}; {hasty}") as server, server.connect() as player:
        send(player, {"text": ENDLESS})
        player.recv(PATIENCE)
        time.sleep(1)  # it plays, and reads nothing
        assert hear(player).last["state"] == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts twice what is asked for")
def test_the_system_holds_some_seconds_of_sound_for_a_client() -> None:
    with (
        closing(bind("127.0.0.1", 0, "")) as bound,
        socket.create_connection(bound.getsockname()),
        closing(bound.accept()[0]) as accepted,
    ):
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SENT_BYTES <= 6 * 48_000


def test_beyond_the_most_connections_all_requests_are_refused() -> None:
    few = "from tts_cli.server import running; running.MOST_CONNECTIONS = 2"
    with serving(engine=TONE, before=few) as server, server.connect() as first, server.connect():
        assert say(first, text="Hi.").last["state"] == "done"
        with pytest.raises(InvalidStatus) as refused:
            server.connect()
        assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "2")
        with pytest.raises(HTTPError) as failed:
            urllib.request.urlopen(f"{server.url}/readyz", timeout=PATIENCE)
        with failed.value as answer:
            assert (answer.code, answer.headers["Retry-After"]) == (429, "2")
            assert "too many connections" in json.load(answer)["error"]["message"]
