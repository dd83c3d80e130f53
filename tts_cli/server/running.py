"""Runs the server: loads the engine, answers until a signal comes, and ends in order."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, Protocol

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tts_cli import signals
from tts_cli.errors import TTSError
from tts_cli.server.address import is_local, url_of
from tts_cli.server.app import make_app
from tts_cli.server.connection_limit import ConnectionLimit
from tts_cli.server.http import PatientProtocol
from tts_cli.server.log import LibraryLog, Log
from tts_cli.server.monitoring import Glance
from tts_cli.server.request import FIELDS_BYTES
from tts_cli.server.request_guard import LOCAL
from tts_cli.server.service import Service
from tts_cli.server.voice_making import VoiceMakerOf
from tts_cli.session import Session

MOST_CONNECTIONS: Final = 1000
LOOK_SECONDS: Final = 0.2
PING_SECONDS: Final = 20.0
ENDING_SECONDS: Final = 3.0
"""How long connections may take to close at the end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to serve."""

    token: str
    """What clients must know; empty if there is no token."""
    listeners: int | None
    """How many may listen at once; None for as many as the engine can compute for."""
    queue: int
    """How many may wait for a place."""
    grace: float
    """Seconds that utterances may go on after a signal."""
    idle_stop: float
    """Seconds without anybody to serve after which the server ends; 0: never."""
    voice_maker: VoiceMakerOf | None
    """Returns what makes voices for clients; None if they may make none."""
    add: Callable[[FastAPI, Service], None] | None = None
    """Adds routes."""
    origins: frozenset[str] = frozenset()
    """Other sites whose pages may use the server."""


def serve(
    bound: socket.socket,
    plan: Plan,
    load: Callable[[], Session],
    defaults: Mapping[str, Any],
    ready: Callable[[Session, str], None],
    panel: Panel | None,
) -> None:
    """Serve until a signal comes, which is raised again at the end, or until nobody has used the server for long.

    Parameters
    ----------
    bound
        The socket that listens.
    plan
        How to serve.
    load
        Loads the engine.
    defaults
        Options that requests have if they do not say otherwise.
    ready
        Called with the session and the server's URL when it answers.
    panel
        Shows what happens; None to write the log to standard error.

    Raises
    ------
    TTSError
        What loading raises.
    KeyboardInterrupt
        At the end, after a signal.
    """
    log = Log(None if panel is None else panel.line)
    LibraryLog(log).install()
    running = _Running(plan, bound, log)
    try:
        session = running.load(load)
        running.open(session, defaults)
        ready(session, url_of(bound))
        with panel or nullcontext():
            running.wait(panel)
        log.line("nobody was served for long: ending")
        running.end_in_time()
    except KeyboardInterrupt:
        running.end_in_time()
        raise
    finally:
        running.stop()
        log.close()


class Panel(Protocol):
    """Shows what happens while its block runs."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: object) -> None: ...

    def line(self, text: str) -> None:
        """Show a line of the log. Called in another thread, also outside the block."""
        ...

    def show(self, glance: Glance) -> None:
        """Show the numbers."""
        ...


class _Running:
    """A server in threads of its own, because Python raises signals in the main thread, at any point of its code."""

    def __init__(self, plan: Plan, bound: socket.socket, log: Log) -> None:
        self._plan = plan
        self._bound = bound
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._service: Service | None = None
        self._started = threading.Event()
        self._failed: list[BaseException] = []
        self._log = log
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="serve", daemon=True)
        self._thread.start()

    def load(self, load: Callable[[], Session]) -> Session:
        """Load the engine, in a thread of its own, and wait until the server answers."""
        loaded: list[Session] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                session = load()
                loaded.append(session)
                session.settle()
            except BaseException as error:  # noqa: BLE001  raised below
                failed.append(error)

        loading = threading.Thread(target=run, name="load", daemon=True)
        loading.start()
        while loading.is_alive():
            loading.join(LOOK_SECONDS)
        if failed:
            raise failed[0]
        self._session = loaded[0]
        while not self._started.wait(LOOK_SECONDS):
            self._check()
        return self._session

    def open(self, session: Session, defaults: Mapping[str, Any]) -> None:
        """Let the server speak."""
        assert self._service is not None
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._service.open, session, defaults)

    def wait(self, panel: Panel | None) -> None:
        """Show what happens, until nobody has used the server for long."""
        assert self._service is not None
        while not self._service.idle_stop or self._service.idle < self._service.idle_stop:
            if panel is not None:
                panel.show(self._service.monitor.glance())
            self._thread.join(LOOK_SECONDS)
            self._check()

    def end_in_time(self) -> None:
        """Let utterances finish. A second Ctrl-C ends the process at once."""
        if self._service is None or self._loop is None or self._session is None:
            os._exit(signals.exit_code())  # the engine is being loaded, and nothing can interrupt that
        try:
            ending = asyncio.run_coroutine_threadsafe(self._service.end(self._plan.grace), self._loop)
            if not ending.result():
                self._log.close()
                os._exit(signals.exit_code())  # an engine does not end its step
        except KeyboardInterrupt:
            os._exit(signals.exit_code())

    def stop(self) -> None:
        """Close connections and the engine."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join(ENDING_SECONDS)
        if self._session is not None:
            self._session.close()

    def _check(self) -> None:
        if self._failed:
            raise TTSError(f"the server has failed: {self._failed[0]}", "start it again")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  `_check` raises it
            self._failed.append(error)

    def _is_crowded(self) -> bool:
        return self._server is not None and len(self._server.server_state.connections) > MOST_CONNECTIONS

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        plan = self._plan
        self._service = Service(plan.listeners, plan.queue, self._log, plan.idle_stop)
        hosts = LOCAL if is_local(self._bound) else None
        app = make_app(self._service, hosts, plan.token, plan.origins, plan.voice_maker, self._started.set, plan.add)
        config = uvicorn.Config(
            ConnectionLimit(app, self._is_crowded),
            http=PatientProtocol,
            ws=WebSocketsSansIOProtocol,
            ws_max_size=FIELDS_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=None if self._bound.family == socket.AF_UNIX else PING_SECONDS,  # a file: no host vanishes
            ws_ping_timeout=None,  # a client that plays while it reads gets a ping only after all earlier sound
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        await self._server.serve([self._bound])
