"""An HTTP response whose body is an utterance, sent while it is computed: bytes of a format, or server-sent events."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tts_cli.audio import TOKEN_RATE
from tts_cli.server.connection_sink import Encoder
from tts_cli.server.failure import failure, known_error
from tts_cli.server.request import Request
from tts_cli.server.service import Service
from tts_cli.server.speech import STALLED_SECONDS, Speech

EVENTS: Final = "text/event-stream"


class SpeechResponse(Response):
    """Speaks when it is called, and ends when the client leaves.

    An error before the first byte is an error response. One after that ends the connection before the end of the body,
    so that no client takes the sound for complete; in a stream of events, an event says what went wrong.

    Parameters
    ----------
    service
        What speaks.
    request
        What to speak.
    encoder
        Makes the encoder, given samples a second.
    media_type
        Of the sound.
    events
        Whether to send events instead of the sound itself.
    """

    def __init__(
        self, service: Service, request: Request, encoder: Callable[[int], Encoder], media_type: str, *, events: bool
    ) -> None:
        super().__init__(media_type=EVENTS if events else media_type, headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._service = service
        self._request = request
        self._encoder = encoder
        self._events = events
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak until the end, or until the client leaves."""
        speaking = asyncio.create_task(self._speak(scope, receive, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (speaking, leaving):
                task.cancel()
            results = await asyncio.gather(speaking, leaving, return_exceptions=True)
        if isinstance(results[0], Exception) and not isinstance(results[0], asyncio.TimeoutError):
            raise results[0]

    async def _speak(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._service.speaking(self._request, self._encoder) as speech:
                async for piece in speech.pieces():
                    if piece.data:
                        await self._send(send, self._delta(piece.data))
                speech.result()
                await self._send(send, self._end(speech), last=True)
        except asyncio.TimeoutError:  # the client reads nothing
            raise
        except Exception as error:  # noqa: BLE001  an engine may raise anything
            if not self._started:
                await known_error(error)(scope, receive, send)
            elif self._events:
                await self._send(send, _event({"type": "error", "error": failure(error)}), last=True)
            else:
                self._service.log.line(f"cut off: {failure(error)['message']}")

    async def _send(self, send: Send, data: bytes, last: bool = False) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        message = {"type": "http.response.body", "body": data, "more_body": not last}
        await asyncio.wait_for(send(message), STALLED_SECONDS)

    def _delta(self, data: bytes) -> bytes:
        if not self._events:
            return data
        return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})

    def _end(self, speech: Speech) -> bytes:
        if not self._events:
            return b""
        taken, given = speech.measured.characters, round(speech.sent.samples / speech.rate * TOKEN_RATE)
        usage = {"input_tokens": taken, "output_tokens": given, "total_tokens": taken + given}
        return _event({"type": "speech.audio.done", "usage": usage})


async def _left(receive: Receive) -> None:
    """Wait until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(fields: dict[str, object]) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()
