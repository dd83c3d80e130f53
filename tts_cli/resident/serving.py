"""The resident's side: lends the loaded engine to processes that speak, through WebSockets."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from queue import SimpleQueue
from threading import Thread
from typing import Any

from fastapi import FastAPI, WebSocket
from starlette import status
from starlette.websockets import WebSocketDisconnect

from tts_cli import __version__
from tts_cli.engines import EngineSpec
from tts_cli.engines.options import make
from tts_cli.errors import TTSError
from tts_cli.resident.control import ABOUT
from tts_cli.resident.wire import PATH, error_fields, packed, segment_fields, segment_of
from tts_cli.segment import Segment
from tts_cli.server.service import Service
from tts_cli.session import Session


def add_engine(app: FastAPI, service: Service, spec: EngineSpec) -> None:
    """Add the routes by which other processes use the engine.

    Parameters
    ----------
    app
        The app.
    service
        Has the loaded engine.
    spec
        The engine.
    """

    @app.get(ABOUT)
    async def about() -> dict[str, Any]:
        """What the process is and does."""
        glance = service.monitor.glance()
        return {
            "pid": os.getpid(),
            "engine": spec.name,
            "loaded": service.opened.is_set(),
            "listeners": glance.listeners,
            "idle": round(service.idle, 1),
            "keep": service.idle_stop,
        }

    @app.websocket(PATH)
    async def engine(socket: WebSocket) -> None:
        await socket.accept()
        await service.opened.wait()
        await _Lent(socket, service).run()


class _LeftError(Exception):
    """The process that speaks has left."""


class _Lent:
    """One connection: the engine speaks one text, whose segments come from the other side."""

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket = socket
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._segments = _Asked(self)
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Say what the engine is, and let it speak what is asked for."""
        try:
            await self._socket.send_text(json.dumps(_about(self._service.session)))
            asked = await self._socket.receive_json()
            if asked.get("keep"):
                self._service.idle_stop = asked["keep"]
            async with self._service.lending(self) as session:
                Thread(target=self._speak, args=(session, asked), name="lend", daemon=True).start()
                reading = asyncio.create_task(self._read())
                try:
                    await self._ended.wait()
                finally:
                    self.cancel()
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
                    await self._ended.wait()
            await self._socket.close()
        except (WebSocketDisconnect, RuntimeError):  # the other side has left
            return
        except TTSError as error:
            await self._socket.close(status.WS_1012_SERVICE_RESTART, str(error)[:100])

    def cancel(self, why: TTSError | None = None) -> None:
        """End the text after the engine's present step."""
        del why
        self._segments.leave()

    def send(self, message: object) -> None:
        """Send JSON, or a chunk that is packed. Called in the thread that speaks; waits for a slow reader."""
        if isinstance(message, bytes):
            sending = self._socket.send_bytes(message)
        else:
            sending = self._socket.send_text(json.dumps(message))
        try:
            asyncio.run_coroutine_threadsafe(sending, self._loop).result()
        except Exception as error:
            raise _LeftError from error

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.receive_json()
                if "wanted" in message:
                    self._segments.wanted = max(self._segments.wanted, message["wanted"])
                else:
                    self._segments.answers.put(message)
        finally:
            self._segments.leave()

    def _speak(self, session: Session, asked: dict[str, Any]) -> None:
        try:
            options = make(session.spec.options, asked["options"])
            for chunk in session.engine.stream(self._segments, asked["voice"], options):
                self.send(packed(chunk))
            if self._segments.wanted < sys.maxsize:  # otherwise the engine has ended early
                self.send({"end": None})
        except _LeftError:
            pass
        except Exception as error:  # noqa: BLE001  an engine may raise anything; the other side raises it
            self._segments.tell(error)
        finally:
            self._loop.call_soon_threadsafe(self._ended.set)


class _Asked:
    """`engines.Segments` whose segments are asked for from the other side."""

    def __init__(self, lent: _Lent) -> None:
        self.wanted = 0
        self.answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._lent = lent

    def take(self, wait: bool = True) -> Segment | None:
        """See `engines.Segments`."""
        self._lent.send({"take": wait})
        return segment_of(self._answer()["segment"])

    def failed(self, segment: Segment, error: Exception) -> None:
        """See `engines.Segments`. The other side ends the connection if it does not go on."""
        self._lent.send({"failed": segment_fields(segment), "error": error_fields(error)})
        self._answer()

    def tell(self, error: Exception) -> None:
        """Tell the other side what has ended the text."""
        try:
            self._lent.send({"error": error_fields(error)})
        except _LeftError:
            return

    def leave(self) -> None:
        """The other side has left: nothing is wanted, and no answer comes."""
        self.wanted = sys.maxsize
        self.answers.put(None)

    def _answer(self) -> dict[str, Any]:
        answer = self.answers.get()
        if answer is None:
            self.answers.put(None)
            raise _LeftError
        return answer


def _about(session: Session) -> dict[str, Any]:
    engine = session.engine
    return {
        "version": __version__,
        "name": engine.name,
        "sample_rate": engine.sample_rate,
        "capacity": engine.capacity,
        "precision": engine.precision,
        "strategy": engine.strategy,
        "paced": getattr(engine, "paced", True),
        "notice": session.notice,
        "chosen": getattr(engine, "chosen", {}),
        "if_slow": getattr(engine, "if_slow", ""),
        "voices": engine.voices(),
    }
