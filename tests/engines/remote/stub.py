"""A server that answers requests with given bytes, as servers of other makers do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.harness import PATIENCE

Answer = Sequence[bytes]
"""What is sent, piece by piece; then the connection is closed."""


def answer(body: bytes, kind: str = "audio/pcm", status: str = "200 OK", **headers: str) -> Answer:
    """A whole response."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    )
    return [head.encode(), body]


def chunked(*pieces: bytes, kind: str = "audio/pcm", whole: bool = True) -> Answer:
    """A response in chunks, for sound that is still computed. Without `whole`, the last chunk is missing."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    parts = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]
    return [head.encode(), *parts, *([b"0\r\n\r\n"] if whole else [])]


def listed(value: Any) -> Answer:
    return answer(json.dumps(value).encode(), "application/json")


NOT_FOUND = answer(b'{"detail":"Not Found"}', "application/json", "404 Not Found")


@dataclass
class Stub:
    """A running server. `answers` gives what each path is answered with; of several, one after the other."""

    answers: Mapping[str, list[Answer]]
    url: str = ""
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """Path, headers and JSON of each request."""
    going_on: threading.Event = field(default_factory=threading.Event)
    """Set when the pieces after the first one of a sound may be sent."""

    @property
    def spoken(self) -> list[dict[str, Any]]:
        """What it was asked to speak."""
        return [fields for path, _, fields in self.asked if path == "/v1/audio/speech"]


@contextmanager
def stub(
    *speech: Answer, voices: Answer = NOT_FOUND, models: Answer = NOT_FOUND, waits: bool = False
) -> Iterator[Stub]:
    """Run one. It answers requests for speech with `speech`, the last one again and again."""
    server = Stub({"/v1/audio/speech": list(speech), "/v1/audio/voices": [voices], "/v1/models": [models]})
    if not waits:
        server.going_on.set()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=_serve, args=(listener, server))
        thread.start()
        try:
            yield server
        finally:
            server.going_on.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def _serve(listener: socket.socket, server: Stub) -> None:
    threads: list[threading.Thread] = []
    with suppress(OSError):  # the test has ended
        while True:
            connection, _ = listener.accept()
            threads.append(threading.Thread(target=_answer, args=(connection, server)))
            threads[-1].start()
    for thread in threads:
        thread.join(PATIENCE)


def _answer(connection: socket.socket, server: Stub) -> None:
    with connection, connection.makefile("rb") as reading, suppress(OSError):
        words = reading.readline().decode().split()
        if not words:
            return
        headers = dict(line.lower().split(": ", 1) for line in iter(lambda: reading.readline().decode().strip(), ""))
        body = reading.read(int(headers.get("content-length", 0)))
        server.asked.append((words[1], headers, json.loads(body) if body else {}))
        answers = server.answers[words[1]]
        pieces = answers.pop(0) if len(answers) > 1 else answers[0]
        for number, piece in enumerate(pieces):
            if number == 2:
                assert server.going_on.wait(PATIENCE)
            connection.sendall(piece)
