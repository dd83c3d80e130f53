"""A replica behind a proxy that stores what it is given: it waits for the connection, and everything arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from tts_cli.server.backpressure import WINDOW, Telling, Waiting

BLOCK = 40_000


class Proxy:
    """Takes all that a replica sends, as Ray's does, and gives it to the connection piece by piece."""

    def __init__(self, replica: Any) -> None:
        self.replica = replica
        self.stored = 0
        self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waiting: asyncio.Queue[Message | None] = asyncio.Queue()
        read: asyncio.Queue[Message] = asyncio.Queue()

        async def store(message: Message) -> None:
            self.stored += len(message.get("body", b""))
            self.most = max(self.most, self.stored)
            waiting.put_nowait(message)

        async def forward() -> None:
            while True:
                read.put_nowait(await receive())

        async def answer() -> None:
            await self.replica(scope, read.get, store)
            waiting.put_nowait(None)

        tasks = [asyncio.ensure_future(forward()), asyncio.ensure_future(answer())]
        try:
            while (message := await waiting.get()) is not None:
                await send(message)
                self.stored -= len(message.get("body", b""))
            await tasks[1]
        finally:
            for task in tasks:
                task.cancel()


def sending(sizes: list[int]) -> Any:
    """A replica that answers with blocks of these sizes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number, size in enumerate(sizes):
            await send({"type": "http.response.body", "body": bytes([number % 256]) * size, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2 * WINDOW), max_size=30), st.booleans())
def test_everything_arrives_and_little_is_stored(sizes: list[int], tells: bool) -> None:
    async def run() -> None:
        proxy = Proxy(Waiting(sending(sizes)))
        body = bytearray()
        asked: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            return asked.pop() if asked else await asyncio.Future()

        async def send(message: Message) -> None:
            await asyncio.sleep(0)
            body.extend(message.get("body", b""))

        app = Telling(proxy) if tells else proxy
        await asyncio.wait_for(app({"type": "http", "path": "/"}, receive, send), 60)
        assert body == b"".join(bytes([number % 256]) * size for number, size in enumerate(sizes))
        if tells:
            assert proxy.most <= WINDOW + max(sizes, default=0)

    asyncio.run(run())


def test_a_connection_that_takes_nothing_stops_the_replica_until_its_client_leaves() -> None:
    async def run() -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def speak() -> None:
                while True:
                    await send({"type": "http.response.body", "body": bytes(BLOCK), "more_body": True})

            speaking = asyncio.ensure_future(speak())
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])  # as often as it asks
            speaking.cancel()

        proxy = Proxy(Waiting(app))
        left: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None:
            await asyncio.Future()

        running = asyncio.ensure_future(Telling(proxy)({"type": "http", "path": "/"}, lambda: left, send))
        while proxy.stored < WINDOW:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert proxy.stored <= WINDOW + BLOCK
        left.set_result({"type": "http.disconnect"})
        while len(seen) < 2:
            await asyncio.sleep(0)
        assert seen == ["http.disconnect"] * 2
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(run())


def test_what_goes_wrong_with_reading_is_raised_in_the_app() -> None:
    async def run() -> None:
        async def receive() -> Message:
            raise ConnectionResetError("the proxy has gone")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for _ in range(2):
                with pytest.raises(ConnectionResetError):
                    await receive()

        async def send(message: Message) -> None:
            raise AssertionError(message)

        await Waiting(app)({"type": "http", "extensions": {"tts.taken": {}}}, receive, send)

    asyncio.run(run())
