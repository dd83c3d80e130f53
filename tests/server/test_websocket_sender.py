"""Messages to the client of a WebSocket go out one after the other, on a connection that the test has in hand."""

from __future__ import annotations

import asyncio

from starlette.types import Message
from starlette.websockets import WebSocket

from tts_cli.server.websocket_sender import WebSocketSender


class Connection:
    """An ASGI connection of a client that takes a message when `room` is set."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.asked: list[object] = []
        self.sent: list[object] = []

    async def receive(self) -> Message:
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        content = message.get("bytes") or message.get("text")
        self.asked.append(content)
        await self.room.wait()
        self.sent.append(content)

    async def sender(self) -> WebSocketSender:
        """A sender of a connection that was accepted."""
        self.room.set()
        socket = WebSocket({"type": "websocket"}, self.receive, self.send)
        await socket.accept()
        self.room.clear()
        self.asked.clear()
        self.sent.clear()
        return WebSocketSender(socket)


async def rest() -> None:
    """Until every task waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_message_waits_until_the_one_before_it_is_sent() -> None:
    async def run() -> None:
        connection = Connection()
        sender = await connection.sender()
        sound = asyncio.create_task(sender.send(b"sound", lambda: True))
        await rest()
        answer = asyncio.create_task(sender.tell({"type": "error"}))
        await rest()
        assert connection.asked == [b"sound"]
        connection.room.set()
        assert await sound
        await answer
        assert connection.sent == [b"sound", '{"type": "error"}']

    asyncio.run(run())


def test_what_is_no_longer_wanted_when_its_turn_comes_is_not_sent() -> None:
    async def run() -> None:
        connection, wanted = Connection(), True
        sender = await connection.sender()
        answer = asyncio.create_task(sender.tell({}))
        await rest()
        sound = asyncio.create_task(sender.send(b"sound", lambda: wanted))
        await rest()
        wanted = False
        connection.room.set()
        await answer
        assert not await sound
        assert connection.sent == ["{}"]

    asyncio.run(run())
