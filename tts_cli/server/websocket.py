"""The WebSocket protocol: JSON comes in, 16-bit PCM and JSON go out. docs/server.md describes it.

A connection speaks one utterance after the other. One task reads messages, another speaks, so a client can steer what
is being spoken.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette import status
from starlette.websockets import WebSocket, WebSocketDisconnect

from tts_cli.checks import whole
from tts_cli.errors import TTSError, UsageError
from tts_cli.server.admission import RefusedError, UnreadyError
from tts_cli.server.encoding import PcmEncoder
from tts_cli.server.failure import failure
from tts_cli.server.pieces import Pieces
from tts_cli.server.request import fields_of
from tts_cli.server.request_guard import PROTOCOL
from tts_cli.server.service import Service
from tts_cli.server.speech import Speech
from tts_cli.server.websocket_sender import WebSocketSender
from tts_cli.server.websocket_utterance import WebSocketUtterance

WAITING: Final = 8
"""Utterances that one connection may ask for before the first of them has ended."""
IDLE_SECONDS: Final = 300
"""How long a client may send nothing while nothing is spoken: between utterances, paused, or within a text."""


class Conversation:
    """One WebSocket connection.

    Parameters
    ----------
    socket
        The connection.
    service
        What speaks.
    forced
        Options that all its utterances have.
    """

    def __init__(self, socket: WebSocket, service: Service, forced: Mapping[str, Any]) -> None:
        self._socket = socket
        self._sender = WebSocketSender(socket)
        self._service = service
        self._forced = forced
        self._utterances: deque[WebSocketUtterance] = deque()
        """Those that have not ended. The first is spoken, or waits for its place."""
        self._more = asyncio.Event()
        self._writing: WebSocketUtterance | None = None
        """The utterance whose text the client has not ended."""
        self._answers: dict[str, Callable[[dict[str, Any]], None]] = {
            "speak": self._speak_text,
            "text": self._add_text,
            "end": self._end_text,
            "cancel": self._cancel,
            "pause": self._pause,
            "resume": self._resume,
            "skip": self._skip,
        }

    async def run(self) -> None:
        """Answer until the client leaves."""
        offered = self._socket.scope["subprotocols"]
        await self._socket.accept(PROTOCOL if PROTOCOL in offered else None)
        speaking = asyncio.create_task(self._speak_all())
        reading = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait({speaking, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for utterance in self._utterances:
                utterance.cancel()
            for task in (speaking, reading):
                task.cancel()
            results = await asyncio.gather(speaking, reading, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | asyncio.TimeoutError):
                raise result

    async def _read_all(self) -> None:
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), IDLE_SECONDS)
            except asyncio.TimeoutError:
                if self._utterances and self._utterances[0].computing:
                    continue
                await self._sender.close(1000, f"nothing came for {IDLE_SECONDS} s")
                return
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._take(message.get("text"))
            except TTSError as error:
                self._service.monitor.failed(error)
                if isinstance(error, RefusedError):
                    await self._refuse(error)
                    return
                await self._sender.tell({"type": "error", "error": failure(error)})

    def _take(self, text: str | None) -> None:
        if text is None:
            raise UsageError("a binary message means nothing here", "send JSON as text")
        fields = fields_of(text)
        kind = fields.pop("type", None)
        if kind is None:
            self._ask(fields.pop("text", None), None, fields, events=False)
        elif isinstance(kind, str) and kind in self._answers:
            self._answers[kind](fields)
        else:
            raise UsageError("there is no such type of message", f"the types are: {', '.join(self._answers)}")

    def _speak_text(self, fields: dict[str, Any]) -> None:
        self._ask(fields.pop("text", None), None, fields, events=True)

    def _add_text(self, fields: dict[str, Any]) -> None:
        piece = fields.pop("text", None)
        if self._writing is None:
            pieces = Pieces()
            pieces.add(piece)
            self._writing = self._ask(None, pieces, fields, events=True)
        else:
            if fields:
                raise UsageError("only the first piece of a text has options", "leave them out")
            assert self._writing.pieces is not None
            self._writing.pieces.add(piece)

    def _end_text(self, fields: dict[str, Any]) -> None:
        _no_more(fields)
        if self._writing is None:
            raise UsageError("there is no text to end", 'begin with {"type": "text", "text": "…"}')
        assert self._writing.pieces is not None
        self._writing.pieces.end()
        self._writing = None

    def _cancel(self, fields: dict[str, Any]) -> None:
        _no_more(fields)
        self._first()
        for utterance in self._utterances:
            utterance.cancel()
        self._writing = None

    def _pause(self, fields: dict[str, Any]) -> None:
        _no_more(fields)
        self._first().pause()

    def _resume(self, fields: dict[str, Any]) -> None:
        _no_more(fields)
        self._first().resume()

    def _skip(self, fields: dict[str, Any]) -> None:
        by = fields.pop("by", 1)
        whole("by", by, 1, 1_000_000)
        _no_more(fields)
        self._first().skip(by)

    def _first(self) -> WebSocketUtterance:
        if not self._utterances:
            raise UsageError("nothing is being spoken", 'begin with {"text": "…"}')
        return self._utterances[0]

    def _ask(self, text: object, pieces: Pieces | None, fields: dict[str, Any], events: bool) -> WebSocketUtterance:
        if self._writing is not None:
            raise UsageError("the text before this one has not ended", 'send {"type": "end"} first')
        if len(self._utterances) >= WAITING:
            raise UsageError(f"{WAITING} texts of this connection wait already", "wait for the end of one")
        if pieces is None and not isinstance(text, str):
            raise UsageError("there is no text to speak", 'send {"text": "…"}')
        voice = fields.pop("voice", None)
        request = self._service.request(pieces or text, voice, {**fields, **self._forced})
        utterance = WebSocketUtterance(request, pieces, events)
        self._utterances.append(utterance)
        self._more.set()
        return utterance

    async def _speak_all(self) -> None:
        while True:
            self._more.clear()
            while self._utterances:
                utterance = self._utterances[0]
                utterance.task = asyncio.create_task(self._speak(utterance))
                try:
                    await asyncio.wait(
                        {utterance.task}
                    )  # which the end of the connection cancels, and `utterance.cancel` does not
                finally:
                    utterance.task.cancel()
                if utterance.task.cancelled():
                    await self._sender.tell({"type": "done", "state": "cancelled"})
                elif isinstance(error := utterance.task.exception(), RefusedError):
                    await self._refuse(error)
                    return
                elif error is not None:
                    raise error
                self._utterances.popleft()
            await self._more.wait()

    async def _speak(self, utterance: WebSocketUtterance) -> None:
        """Speak, and send how it ended: exactly one message for each utterance."""
        if utterance.cancelled:
            await self._sender.tell({"type": "done", "state": "cancelled"})
            return
        try:
            async with self._service.speaking(utterance.request, lambda _rate: PcmEncoder()) as speech:
                utterance.speech = speech
                if not utterance.flowing.is_set():
                    speech.utterance.pause()
                await self._send_sound(utterance, speech)
                await self._sender.tell(_outcome(utterance, speech))
        except RefusedError:
            raise
        except TTSError as error:  # it could not begin
            await self._sender.tell({"type": "error", "error": failure(error)})

    async def _send_sound(self, utterance: WebSocketUtterance, speech: Speech) -> None:
        if utterance.events:
            await self._sender.tell({"type": "start", "sample_rate": speech.rate, "format": "pcm_s16le", "channels": 1})
        told = -1
        async for piece in speech.pieces():
            segment = piece.segment
            if utterance.events and segment is not None and segment.number != told:
                told = segment.number
                start = round(1000 * speech.sent.samples / speech.rate, 1)
                event = {"type": "segment", "number": told, "text": segment.text, "start_ms": start}
                await self._send_part(utterance, json.dumps(event))
            await self._send_part(utterance, piece.data)

    async def _send_part(self, utterance: WebSocketUtterance, part: str | bytes) -> None:
        """Send a part of an utterance: not during a pause, and not after a cancel."""
        sent = False
        while not sent and not utterance.cancelled:
            await utterance.flowing.wait()
            sent = await self._sender.send(part, lambda: utterance.flowing.is_set() and not utterance.cancelled)

    async def _refuse(self, error: RefusedError) -> None:
        again = isinstance(error, UnreadyError)
        code = status.WS_1012_SERVICE_RESTART if again else status.WS_1013_TRY_AGAIN_LATER
        await self._sender.close(code, str(error))


def _outcome(utterance: WebSocketUtterance, speech: Speech) -> dict[str, object]:
    """The last message about an utterance. Raises `RefusedError` if the server has ended it."""
    try:
        speech.result()
    except RefusedError:
        raise
    except Exception as error:  # noqa: BLE001  an engine may raise anything
        return {"type": "error", "error": failure(error)} | speech.numbers()
    return {"type": "done", "state": "cancelled" if utterance.cancelled else "done"} | speech.numbers()


def _no_more(fields: Mapping[str, Any]) -> None:
    if fields:
        raise UsageError("this type of message has no such field", f"leave out: {', '.join(sorted(fields))[:60]}")
