"""`tts serve` as a real process, and a client of its WebSockets."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

import tts_cli
from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, clean_environment
from tests.loudspeaker import PCM
from tts_cli.audio import to_pcm16

TONE = "tests.sample_engines:ToneEngine"
SLOW = "tests.sample_engines:SlowEngine"

ENDLESS = "And so on and on, without an end to it. " * 100
"""The slow engine would need minutes for it, and the clients here would not wait so long."""


@dataclass
class Server:
    """A server that is ready."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, path: str = "/ws/tts") -> ClientConnection:
        """A WebSocket."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, open_timeout=PATIENCE, close_timeout=1)

    def wait_for_log(self, pattern: str) -> str:
        """Until the log says so."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.log.read_text())):
            assert time.monotonic() < deadline, self.log.read_text()
        return found[0]

    def numbers(self) -> dict[str, float]:
        """What `/metrics` tells: each sample by its name, with its kind if it is an error; without the buckets."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE) as response:
            assert response.headers["content-type"].startswith("text/plain; version=")
            families = list(text_string_to_metric_families(response.read().decode()))
        samples = [sample for family in families for sample in family.samples if "le" not in sample.labels]
        return {sample.name + sample.labels.get("kind", ""): sample.value for sample in samples}

    def wait_for(self, **expected: int) -> None:
        """Until `tts_NAME` has a value, for each name."""
        deadline = time.monotonic() + PATIENCE
        while any(self.numbers()[f"tts_{name}"] != value for name, value in expected.items()):
            assert time.monotonic() < deadline, self.numbers()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(*arguments: str, engine: str = TONE, before: str = "", **environment: str) -> Iterator[Server]:
    """Run a server on a free port. `before` is code that its process runs first."""
    with tempfile.NamedTemporaryFile() as log:
        program = [sys.executable, "-c", f"{before}; from tts_cli.__main__ import main; main()"] if before else TTS
        command = [*program, "serve", "--engine", engine, "--port", "0", *arguments]
        process = warm.popen(
            command,
            env=clean_environment() | environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log.fileno(),
        )
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], PATIENCE)[0], "the server does not get ready"
            said = process.stdout.readline().decode()
            found = re.search(r"http://\S+:(\d+)", said)
            assert found, (said, Path(log.name).read_text())
            server = Server(process, int(found[1]), Path(log.name))
            yield server
            assert "Traceback" not in server.log.read_text(), server.log.read_text()
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                assert process.stdout is not None
                process.stdout.close()


@dataclass
class Heard:
    """What a client got for one utterance."""

    sound: PCM
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any]:
        """The message that ends the utterance."""
        return self.events[-1]

    @property
    def segments(self) -> list[str]:
        return [event["text"] for event in self.events if event.get("type") == "segment"]


def send(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        socket.send(json.dumps(message))


def hear(socket: ClientConnection) -> Heard:
    """Everything up to the message that ends an utterance."""
    data, events = bytearray(), []
    while True:
        message = socket.recv(PATIENCE)
        if isinstance(message, bytes):
            data += message
            continue
        events.append(json.loads(message))
        if events[-1].get("type") in ("done", "error"):
            return Heard(np.frombuffer(bytes(data), "<i2"), events)


def say(socket: ClientConnection, **fields: Any) -> Heard:
    """Ask for one utterance, and hear it."""
    send(socket, fields)
    return hear(socket)


def spoken(text: str, **options: Any) -> PCM:
    """What the same words are without a server."""
    return np.concatenate([to_pcm16(chunk.samples) for chunk in tts_cli.stream(text, engine="builtin", **options)])
