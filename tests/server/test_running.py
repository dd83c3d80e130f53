"""`tts serve`: how it begins, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, Run, clean_environment, complaint
from tests.server.serving import SLOW, TONE, hear, say, send, serving
from tests.server.test_openai_api import post
from tests.terminal import terminal

LONG = "And so on and on, without an end. " * 1000


def test_a_port_in_use_is_one_line(tts: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = tts("serve", "--engine", "builtin", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 2
    assert "choose another with --host or --port" in complaint(refused)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--host", "no.such.host.invalid"], 2, "there is no host"),
        (["--host", "0.0.0.0"], 2, "add --token"),
        (["--host", "::"], 2, "add --token"),
        (["--host", "192.0.2.1", "--token", "secret"], 2, "cannot serve at 192.0.2.1"),
        (["--token", "two words"], 2, "no spaces"),
        (["--allow-origin", "https://a.example", "--allow-origin", "*"], 2, "'*' is no site"),
        (["--allow-origin", "https://a.example/page"], 2, "write it as https://example.org"),
        (["--voice", "nobody"], 2, "no voice 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_served_is_one_line(tts: Run, arguments: list[str], code: int, words: str) -> None:
    refused = tts("serve", "--port", "0", "--engine", TONE, *arguments, cwd=ROOT)
    assert refused.returncode == code, refused.stderr
    assert words in complaint(refused)


def test_without_the_extra_it_says_what_to_install(tts: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError('No module named uvicorn')")
    environment["PYTHONPATH"] = f"{tmp_path}:{ROOT}"
    refused = tts("serve", "--engine", "builtin", "--port", "0")
    assert refused.returncode == 3
    assert "pip install '.[serve]'" in complaint(refused)


def test_help_loads_no_server() -> None:
    code = (
        "import sys; from tts_cli.cli import client, serve; "
        "print([name for name in ('fastapi', 'uvicorn', 'websockets') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, timeout=PATIENCE, check=True
    )
    assert done.stdout == b"[]\n"


def test_it_is_healthy_before_it_is_ready(tmp_path: Path) -> None:
    """The engine is loaded when the test lets it, by opening a pipe that its module reads."""
    (tmp_path / "late.py").write_text(
        "from tests.sample_engines import ToneEngine\n"
        "class Late(ToneEngine):\n"
        "    def __init__(self, settings):\n"
        f"        open({str(tmp_path / 'gate')!r}).read()\n"
        "        super().__init__(settings)\n"
    )
    gate = tmp_path / "gate"
    subprocess.run(["mkfifo", gate], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*TTS, "serve", "--engine", "late:Late", "--port", str(port)]
    with warm.popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path
    ) as process:
        try:
            with gate.open("w"):  # opens when the engine's module reads: the server has begun long before
                assert wait_for(port, "/healthz") == 200
                assert status(port, "/readyz") == 503
            assert process.stdout is not None
            assert b"Serving late:Late/sine at http://127.0.0.1" in process.stdout.readline()
            assert status(port, "/readyz") == 200
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 143


def wait_for(port: int, path: str) -> int:
    while True:
        with contextlib.suppress(urllib.error.URLError):  # it does not listen yet
            return status(port, path)


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_sigterm_lets_streams_finish() -> None:
    with serving("--grace", "60", engine=SLOW) as server, server.connect() as client:
        send(client, {"text": "One second.", "tokens_per_chunk": 1})
        first = client.recv(PATIENCE)
        assert server.end() == 143
        heard = hear(client)
        assert heard.last["state"] == "done"
        assert heard.last["audio_duration_ms"] == 1000 * (len(heard.sound) + len(first) / 2) / 24_000


def test_ctrl_c_tells_the_streams_that_do_not_finish_in_time() -> None:
    with serving("--grace", "0.2", engine=SLOW) as server, server.connect() as client, server.connect() as idle:
        send(client, {"text": LONG, "tokens_per_chunk": 1})
        client.recv(PATIENCE)
        server.process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed) as closed:
            hear(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert closed.value.rcvd.reason == "the server is ending; try another, or later"
        with pytest.raises(ConnectionClosed):
            idle.recv(PATIENCE)
        assert server.process.wait(PATIENCE) == 130


def test_those_who_wait_when_it_ends_are_told_at_once() -> None:
    with serving("--grace", "60", "--max-listeners", "1", engine=SLOW) as server:
        with server.connect() as first, server.connect() as waiting, ThreadPoolExecutor(1) as pool:
            send(first, {"text": "Two seconds of sound.", "tokens_per_chunk": 1})
            server.wait_for(listeners=1)
            send(waiting, {"text": "Hi."})
            server.wait_for(waiting=1)
            posting = pool.submit(post, server, {"input": "Hi."})
            server.wait_for(waiting=2)
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                hear(waiting)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            code, headers, body = posting.result(PATIENCE)
            assert (code, headers["retry-after"]) == (503, "2")
            assert json.loads(body)["error"]["type"] == "service_unavailable_error"
            assert hear(first).last["state"] == "done"
        assert server.process.wait(PATIENCE) == 143


SHORT = "import tts_cli.server.body_limit as b, tts_cli.server.http as h; b.BODY_SECONDS = h.HEAD_SECONDS = 0.2"


def test_a_request_that_does_not_arrive_holds_no_connection() -> None:
    """As slowloris sends them: half a head, and half a body."""
    with serving(before=SHORT) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(20)]
        for client in clients[::2]:
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: lo")
        for client in clients[1::2]:
            client.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert status(server.port, "/readyz") == 200
        for number, client in enumerate(clients):
            with client:
                answer = client.makefile("rb").read()  # until the server closes
            assert answer.startswith(b"HTTP/1.1 408 ") if number % 2 else not answer


def test_an_engine_that_never_ends_its_step_does_not_hold_the_end_up() -> None:
    with serving("--grace", "0", engine="tests.sample_engines:StuckEngine") as server, server.connect() as client:
        send(client, {"text": LONG})
        client.recv(PATIENCE)
        client.recv(PATIENCE)
        assert server.end(signal.SIGHUP) == 129


def test_nobody_reads_the_log_and_it_serves_all_the_same() -> None:
    command = [*TTS, "serve", "--engine", TONE, "--port", "0"]
    with warm.popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(b":")[2])
        client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        for _ in range(500):  # lines of 250 bytes, into a pipe of 64 KiB
            client.request("GET", f"/{'x' * 200}")
            assert client.getresponse().read()
        client.close()
        process.terminate()
        assert process.wait(PATIENCE) == 143


def test_it_ends_when_nobody_is_served_for_long() -> None:
    with serving("--idle-stop", "2", engine=SLOW) as server:
        with server.connect() as client:
            send(client, {"text": LONG})
            for _ in range(6):  # 3.6 s of computing
                client.recv(PATIENCE)
        with contextlib.suppress(OSError):
            while status(server.port, "/healthz") and status(server.port, "/metrics"):  # which serves nobody
                pass
        assert server.process.wait(PATIENCE) == 0
        server.wait_for_log("nobody was served for long: ending")


def test_an_open_websocket_keeps_it_up_and_so_does_one_who_waits() -> None:
    with serving("--idle-stop", "1", "--max-listeners", "1", engine=SLOW) as server:
        with server.connect() as first, server.connect() as second:
            send(first, {"text": "Two seconds of sound.", "chunk": 5})
            send(second, {"text": "Hi."})
            assert hear(first).last["state"] == hear(second).last["state"] == "done"
        assert server.process.wait(PATIENCE) == 0


def test_a_terminal_shows_a_panel_and_the_log_above_it(environment: dict[str, str], tmp_path: Path) -> None:
    command = ("serve", "--engine", TONE, "--port", "0")
    with terminal(*command, environment=environment | {"COLUMNS": "100"}, folder=tmp_path) as shown:
        shown.wait_for(r"Serving \S+ at http://127.0.0.1:(\d+)")
        found = re.search(r"127.0.0.1:(\d+)", shown.screen)
        assert found
        shown.wait_for(r"listeners.{1,30}0 of 8")
        shown.wait_for(r"queue.{1,30}0 of 16")
        with connect(f"ws://127.0.0.1:{found[1]}/ws/tts", proxy=None) as client:
            assert say(client, text="Hello there.").last["state"] == "done"
            assert say(client, text="...").last["type"] == "error"
        shown.wait_for(r"utterances.{1,20}1 .{1,30}spoken.{1,20}0\.\d s")
        shown.wait_for(r"TTFA.{1,20}\d+ ms")
        shown.wait_for(r"errors.{1,20}1 ")
        shown.wait_for("12 characters, sent 0\\.")
        shown.type(b"\x03")
        assert shown.end() == 130
    assert "\x1b[?25h" in shown.screen, "the cursor is back"
