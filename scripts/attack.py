"""Attack a server of its own in all ways that a client can, and print what that left in its process.

    python scripts/attack.py [--frames 10000] [--leavers 1000] [--slow 300] [--seed 1] [--schemathesis FILE]

- `frames`: WebSocket messages, right, wrong and nonsensical, twenty on each connection.
- `leavers`: clients that connect, ask for speech and leave, in every state of the conversation.
- `slow`: connections that send half a head or half a body and then nothing (slowloris), while another client speaks.
- `document`: requests that Schemathesis makes of the OpenAPI document. It is a program of its own: install it with
  `pip install schemathesis` in an environment of its own, and name it with `--schemathesis`.

Before and after each, the script reads threads, open files and memory of the server from /proc (Linux only). The exit
code is 1 if the server has ended, printed a traceback, holds more threads or files than before, or grows by more than
`GROWTH` in every part of an attack but the first, or if Schemathesis has found a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

GROWTH: Final = 20.0
"""Megabytes that a part of an attack may leave."""
PARTS: Final = 4
"""Of an attack, at most."""
PATIENCE: Final = 120.0
AT_ONCE: Final = 8
ON_A_CONNECTION: Final = 20
NAMES: Final = ("text", "voice", "seed", "chunk", "mode", "speed", "pause", "by", "type", "output", "sink", "strict")
KINDS: Final[tuple[Any, ...]] = ("speak", "text", "end", "cancel", "pause", "resume", "skip", "dance", None, 7, [])
LONG: Final = "And so on and on, without an end to it. " * 50


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    threads: int
    files: int
    megabytes: float


class Server:
    """A server of the built-in voice, on a free port."""

    def __init__(self, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "tts_cli", "serve", "--engine", "builtin", "--port", "0"]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"

    def connect(self, path: str = "/ws/tts") -> connect:
        """A WebSocket."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, open_timeout=PATIENCE, close_timeout=1)

    def held(self) -> Held:
        """What the process holds when nobody listens."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_silent():
            if time.monotonic() > deadline:
                raise SystemExit("a listener has left, and its place is not free")
            time.sleep(0.1)
        looks = []
        for _ in range(10):  # a connection that is being closed, such as that of the question above, is not held
            time.sleep(0.1)
            looks.append(self._look())
        return Held(*(min(numbers) for numbers in zip(*looks, strict=True)))

    def tracebacks(self) -> int:
        """How many the server has printed."""
        return self._log.read_text(errors="replace").count("Traceback")

    def _look(self) -> tuple[int, int, float]:
        folder = Path("/proc", str(self.process.pid))
        pages = int((folder / "statm").read_text().split()[1])
        threads, files = (len(list((folder / kind).iterdir())) for kind in ("task", "fd"))
        return threads, files, pages * os.sysconf("SC_PAGESIZE") / 1e6

    def _is_silent(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE) as response:
            text = response.read().decode()
        return "tts_listeners 0.0" in text and "tts_waiting 0.0" in text


def nonsense(random: Random, depth: int = 2) -> Any:
    """A JSON value."""
    kind = random.randrange(8 if depth else 6)
    if kind == 6:
        return [nonsense(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 7:
        return {random.choice(NAMES): nonsense(random, depth - 1) for _ in range(random.randrange(4))}
    text = "".join(chr(random.choice((random.randrange(32, 127), random.randrange(0x2FFF)))) for _ in range(9))
    return (None, True, random.randrange(-5, 10**9), random.uniform(-1e9, 1e9), text, "Hi.")[kind]


def frame(random: Random) -> str | bytes:
    """A message of a client."""
    kind = random.randrange(10)
    if kind == 0:
        return random.randbytes(random.randrange(100))
    if kind == 1:
        return json.dumps(nonsense(random))[: random.randrange(60)]
    if kind == 2:
        return random.choice("[{") * random.randrange(2000)
    fields = {random.choice(NAMES): nonsense(random) for _ in range(random.randrange(4))}
    if kind > 6:
        fields = {"text": random.choice(("Hi. ", "It rains. It pours.", "..."))}
    return json.dumps({"type": random.choice(KINDS)} | fields if random.random() < 0.8 else fields)


async def send_frames(server: Server, number: int, random: Random) -> None:
    """`frames`."""

    async def converse(each: Random, count: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            async with server.connect(each.choice(("/ws/tts", "/ws/tts/simple"))) as client:
                for _ in range(count):
                    await client.send(frame(each))

    rest = number
    while rest > 0:
        counts = [min(ON_A_CONNECTION, max(0, rest - ON_A_CONNECTION * each)) for each in range(AT_ONCE)]
        await asyncio.gather(*[converse(Random(random.random()), count) for count in counts if count])
        rest -= sum(counts)


async def come_and_leave(server: Server, number: int, random: Random) -> None:
    """`leavers`."""

    async def visit(each: Random) -> None:
        if each.random() < 0.3:
            await _post_and_leave(server, each)
            return
        with contextlib.suppress(ConnectionClosed):
            path, kind = each.choice(("/ws/tts", "/ws/tts/simple")), each.choice(("speak", "text"))
            async with server.connect(path) as client:
                await client.send(json.dumps({"type": kind, "text": LONG}))
                # In simple mode, nothing comes before the end of the text.
                for _ in range(0 if "simple" in path and kind == "text" else each.randrange(4)):
                    await asyncio.wait_for(client.recv(), PATIENCE)
                if each.random() < 0.5:
                    client.transport.abort()

    for start in range(0, number, AT_ONCE):
        await asyncio.gather(*[visit(Random(random.random())) for _ in range(min(AT_ONCE, number - start))])


async def _post_and_leave(server: Server, random: Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = json.dumps({"input": LONG, "response_format": random.choice(("mp3", "wav", "flac", "opus"))}).encode()
    head = "POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    if random.random() < 0.7:
        await reader.read(20)
    writer.transport.abort()


async def send_slowly(server: Server, number: int, random: Random) -> None:
    """`slow`. The server must answer others meanwhile, and close these connections."""
    opened = await asyncio.gather(*[asyncio.open_connection("127.0.0.1", server.port) for _ in range(number)])
    for _, writer in opened:
        if random.random() < 0.5:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: lo")
        else:
            writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
    async with server.connect() as client:
        await client.send(json.dumps({"text": "Hello."}))
        while isinstance(await asyncio.wait_for(client.recv(), PATIENCE), bytes):
            pass
    for reader, writer in opened:
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()


async def read_document(server: Server, schemathesis: str, seed: int) -> bool:
    """`document`. Returns whether all went well."""
    with tempfile.TemporaryDirectory() as folder:  # it remembers what it has found
        process = await asyncio.create_subprocess_exec(
            *(schemathesis, "run", f"{server.url}/openapi.json", "--max-examples", "200", "--seed", str(seed)),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--request-timeout", "60", "--workers", "1"),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    if process.returncode:
        print(said.decode())
    else:
        print(next((line.strip() for line in said.decode().splitlines() if "generated, " in line), ""))
    return process.returncode == 0


def report(name: str, number: int | str, looks: Sequence[Held], seconds: float) -> bool:
    """Print a row of the table. Returns whether nothing has leaked."""
    before, after = looks[0], looks[-1]
    print(
        f"| {name} | {number} | {seconds:.0f} s | {before.threads} → {after.threads} | "
        f"{before.files} → {after.files} | "
        f"{' → '.join(f'{look.megabytes:.0f}' for look in looks)} MB |",
        flush=True,
    )
    return after.threads <= before.threads and after.files <= before.files and not has_grown(looks)


def has_grown(looks: Sequence[Held]) -> bool:
    """Whether the latest part has left memory. The first may: the server keeps what eight utterances at once need."""
    return looks[-1].megabytes - looks[-2].megabytes > GROWTH


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("frames", 10_000), ("leavers", 1000), ("slow", 300), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--schemathesis", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _running(Path(folder, "log")) as server:
        return 0 if asyncio.run(_attack(server, given)) else 1


@contextlib.contextmanager
def _running(log: Path) -> Iterator[Server]:
    server = Server(log)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(PATIENCE)
        assert server.process.stdout is not None
        server.process.stdout.close()


async def _attack(server: Server, given: argparse.Namespace) -> bool:
    random, well = Random(given.seed), True
    attacks: list[tuple[str, int, Callable[[Server, int, Random], Awaitable[None]]]] = [
        ("frames", given.frames, send_frames),
        ("leavers", given.leavers, come_and_leave),
        ("slow", given.slow, send_slowly),
    ]
    for _, number, attack in attacks[:2]:  # what is loaded, started or cached once is there before the first look
        await attack(server, number // 10, random)
    print("| attack | number | time | threads | open files | memory |\n|---|---|---|---|---|---|", flush=True)
    for name, number, attack in attacks:
        if number:
            looks, began = [server.held()], time.monotonic()
            # How many utterances coincide is chance, and so is what they need. A leak grows in every part.
            while len(looks) < 3 or (has_grown(looks) and len(looks) <= PARTS):
                await attack(server, (number + 1) // 2, random)
                looks.append(server.held())
            well &= report(name, number, looks, time.monotonic() - began)
    if given.schemathesis:
        looks, began = [server.held()], time.monotonic()
        for seed in (1, 2):
            well &= await read_document(server, given.schemathesis, seed)
            looks.append(server.held())
        well &= report("document", "–", looks, time.monotonic() - began)
    if server.process.poll() is not None or server.tracebacks():
        print(f"the server has ended, or printed {server.tracebacks()} tracebacks")
        return False
    return well


if __name__ == "__main__":
    sys.exit(main())
