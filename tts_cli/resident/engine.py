"""Stands in for the engine in a resident process, and starts such a process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import Any, Final

from tts_cli import __version__
from tts_cli.audio import AudioChunk
from tts_cli.engines import Engine, EngineSettings, EngineSpec, Segments, SpeakOptions
from tts_cli.engines.options import values
from tts_cli.engines.registry import load_engine
from tts_cli.errors import MissingError
from tts_cli.resident.place import Place, place_of
from tts_cli.resident.process import TAKEN, Job
from tts_cli.resident.replay import Kept
from tts_cli.resident.wire import PATH, error_of, segment_fields, segment_of, unpacked
from tts_cli.segment import Segment

INSTALL: Final = "run: pip install '.[serve]', or leave out --keep-warm"
LOOK_SECONDS: Final = 0.1
"""How often a wait for the resident looks whether the listener still wants the segment."""
POLL_SECONDS: Final = 0.02
ANSWER_SECONDS: Final = 10
"""How long a process that was running before may take to answer. Its engine may still be loading."""
HELLO_SECONDS: Final = 600
"""How long a process that was just started may take to answer: it loads its engine first."""
AGAIN: Final = "the process that held the engine has ended, so this one goes on, from the start of the segment"


def resident_engine(spec: EngineSpec, settings: EngineSettings, keep: float) -> Engine:
    """The engine, in a resident process if there is one, and otherwise loaded here.

    Parameters
    ----------
    spec, settings
        As for `load_engine`.
    keep
        Seconds without use after which the process ends. If there is no process, one is started; with 0, none is.

    Returns
    -------
    Engine
        A `ResidentEngine`, or the engine itself.

    Raises
    ------
    MissingError
        If `keep` is not 0, and a package that a resident process needs is not installed.
    TTSError
        As `load_engine`.
    """
    place = place_of(spec, settings)
    if keep:
        spec.check_available(settings)
        place.make()
    elif not place.is_used:
        return load_engine(spec, settings)
    try:
        import websockets.sync.client  # noqa: F401
    except ImportError as error:
        if keep:
            raise MissingError(f"packages that --keep-warm needs are not installed ({error})", INSTALL) from error
        return load_engine(spec, settings)
    found = _connected(place)
    if found is None and keep:
        found = _started(place, Job(place, spec.name, values(settings), keep))
    if found is None:
        return load_engine(spec, settings)
    return ResidentEngine(place, found, keep, lambda: load_engine(spec, settings))


class _DiedError(Exception):
    """The resident process has ended, or does not answer."""


class ResidentEngine:
    """An `Engine` whose sound a resident process computes. Made by `resident_engine`.

    Parameters
    ----------
    place
        Where the process is found.
    connection
        To the process.
    keep
        Seconds for which the process should stay; 0 changes nothing.
    load
        Loads the engine here, when the process has died.
    """

    def __init__(self, place: Place, connection: Connection, keep: float, load: Callable[[], Engine]) -> None:
        about = connection.about
        self.name: str = about["name"]
        self.sample_rate: int = about["sample_rate"]
        self.capacity: int = about["capacity"]
        self.precision: str = about["precision"]
        self.strategy: str = about["strategy"]
        self.paced: bool = about["paced"]
        self.notice: str = about["notice"]
        self.chosen: dict[str, object] = about["chosen"]
        self.if_slow: str = about["if_slow"]
        self._voices: list[str] = about["voices"]
        self._place = place
        self._keep = keep
        self._connection: Connection | None = connection
        self._load = load
        self._loaded: Engine | None = None
        self.repeated = 0
        """How many segments were said again from their start, because the process died within them."""

    def voices(self) -> list[str]:
        """Names of the voices when the process was asked."""
        return self._voices

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. If the process dies, the segment is said again from its start, by an engine here."""
        kept = Kept(segments)
        try:
            yield from self._streamed(kept, voice, options)
        except _DiedError:
            if self._loaded is None:
                self._loaded = self._load()
            self.repeated += kept.is_within
            notice = AGAIN
            for chunk in self._loaded.stream(kept.replayed(), voice, options):
                yield replace(chunk, notice="; ".join(filter(None, (notice, chunk.notice))))
                notice = ""

    def close(self) -> None:
        """Close the connection. The process stays."""
        if self._connection is not None:
            self._connection.close()
        if self._loaded is not None:
            self._loaded.close()

    def _streamed(self, kept: Kept, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        connection, self._connection = self._connection or _connected(self._place), None
        if connection is None:
            raise _DiedError
        sent: dict[int, Segment] = {}
        with closing(connection):
            connection.send({"voice": voice, "options": values(options), "keep": self._keep})
            wanted = 0
            while True:
                if kept.wanted != wanted:
                    wanted = kept.wanted
                    connection.send({"wanted": wanted})
                if wanted == sys.maxsize:
                    return
                message = connection.receive()
                if isinstance(message, bytes):
                    chunk = unpacked(message, sent)
                    kept.given(chunk.segment)
                    yield chunk
                elif "take" in message:
                    segment = kept.take(message["take"])
                    if segment is not None:
                        sent[segment.number] = segment
                    connection.send({"segment": segment_fields(segment)})
                elif "failed" in message:
                    failed = segment_of(message["failed"])
                    assert failed is not None
                    kept.failed(failed, error_of(message["error"]))
                    connection.send({"segment": None})
                elif "error" in message:
                    raise error_of(message["error"])
                elif "end" in message:
                    return


class Connection:
    """A WebSocket to a resident process.

    Parameters
    ----------
    socket
        The WebSocket.
    about
        What the process has said of its engine.
    opened
        Closes the WebSocket.
    """

    def __init__(self, socket: Any, about: dict[str, Any], opened: ExitStack) -> None:
        self.about = about
        self._socket = socket
        self._opened = opened

    def send(self, message: object) -> None:
        """Send JSON."""
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(json.dumps(message))
        except (ConnectionClosed, OSError) as error:
            raise _DiedError from error

    def receive(self) -> Any:
        """A packed chunk, or JSON. An empty object if nothing comes for `LOOK_SECONDS`."""
        from websockets.exceptions import ConnectionClosed

        try:
            message = self._socket.recv(LOOK_SECONDS)
        except TimeoutError:
            return {}
        except (ConnectionClosed, OSError) as error:
            raise _DiedError from error
        return message if isinstance(message, bytes) else json.loads(message)

    def close(self) -> None:
        """Leave. The process ends what it is computing for us."""
        with suppress(OSError):
            self._socket.socket.shutdown(socket.SHUT_RDWR)
        self._opened.close()


def _connected(place: Place, patience: float = ANSWER_SECONDS) -> Connection | None:
    """A connection to the process, when its engine is loaded.

    None if there is no process, if it has another version, or if it does not answer for `patience` seconds.
    """
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import unix_connect

    stack = ExitStack()
    try:
        opened = stack.enter_context(
            unix_connect(
                str(place.socket),
                f"ws://localhost{PATH}",
                open_timeout=patience,
                close_timeout=1,
                ping_interval=None,  # a listener may pause for hours, and nothing is read meanwhile
                max_size=None,
            )
        )
        about = json.loads(opened.recv(patience))
        if about["version"] == __version__:
            return Connection(opened, about, stack.pop_all())
    except (OSError, WebSocketException):  # also if it does not answer in time
        return None
    finally:
        stack.close()
    return None


def _started(place: Place, job: Job) -> Connection | None:
    """A connection to a process that is started; None if it ends before its engine is loaded."""
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tts_cli.resident.process"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None
    with process.stdin, suppress(BrokenPipeError):
        process.stdin.write(job.packed().encode())
    latest = time.monotonic() + HELLO_SECONDS
    while process.poll() in (None, TAKEN) and time.monotonic() < latest:
        if (found := _connected(place, HELLO_SECONDS)) is not None:
            process.returncode = process.returncode or 0  # it is not ours: it stays
            return found
        time.sleep(POLL_SECONDS)
    process.kill()
    process.wait()
    return None
