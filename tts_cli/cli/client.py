"""The command `tts client`: speaks through a server's WebSocket, and measures it from both ends."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit, urlunsplit

import typer

from tts_cli.cli.client_text import whole_or_pieces
from tts_cli.cli.serve import INSTALL
from tts_cli.cli.shared_options import OutputDevice
from tts_cli.cli.speak import TextFile
from tts_cli.engines import SpeakOptions
from tts_cli.engines.options import declared
from tts_cli.errors import MissingError, TTSError, UsageError
from tts_cli.printable import harmless

if TYPE_CHECKING:
    from tts_cli.playback import Sink

PATHS: Final = {"streaming": "/ws/tts", "simple": "/ws/tts/simple"}
OPEN_SECONDS: Final = 10

Url = Annotated[str, typer.Argument(metavar="URL", help="Address of the server, such as ws://127.0.0.1:8765.")]
Text = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="What to say; - or no TEXT: standard input.", show_default=False),
]
Voice = Annotated[str | None, typer.Option(help="Voice to speak with.", show_default=False)]
Chunk = Annotated[int | None, typer.Option(min=1, metavar="N", help="Tokens of 40 ms in a chunk.", show_default=False)]
_SPEED = declared(SpeakOptions)["speed"].option
Speed = Annotated[
    float | None,
    typer.Option(min=_SPEED.minimum, max=_SPEED.maximum, metavar="X", help=_SPEED.help, show_default=False),
]
Seed = Annotated[int | None, typer.Option(help=declared(SpeakOptions)["seed"].option.help, show_default=False)]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write a sound file instead of playing.", show_default=False)
]
Compare = Annotated[bool, typer.Option("--compare", help="Speak twice, streaming and simple, and play only the first.")]
Token = Annotated[
    str, typer.Option(envvar="TTS_SERVER_KEY", help="The token that the server asks for.", show_default=False)
]


@dataclass(frozen=True)
class Wanted:
    """What the server is asked for."""

    text: str | Iterator[str]
    """A whole text, or its pieces as they are written."""
    options: Mapping[str, object]


@dataclass
class Heard:
    """What came for one text. Times are in seconds from the request."""

    first: float | None = None
    total: float = 0.0
    chunks: int = 0
    bytes: int = 0
    rate: int = 0
    """Samples a second; 0 until the server has said it."""
    server: Mapping[str, Any] = field(default_factory=dict)
    """The measurements of the server."""


def client(
    url: Url,
    text: Text = None,
    file: TextFile = None,
    voice: Voice = None,
    chunk: Chunk = None,
    speed: Speed = None,
    seed: Seed = None,
    output: Output = None,
    output_device: OutputDevice = None,
    compare: Compare = False,
    token: Token = "",
) -> None:
    """Speak through the WebSocket of a server, and show what it and this client have measured.

    Without a path, URL means /ws/tts, which sends sound while it is computed; /ws/tts/simple computes all of it first.
    """
    try:
        import websockets.sync.client  # noqa: F401
    except ImportError as error:
        raise MissingError(f"the client's packages are not installed ({error})", INSTALL) from error
    address = _address(url)
    if output is not None:
        if str(output) == "-":
            raise UsageError("the measurements go to standard output, so sound cannot", "use -o FILE")
        from tts_cli.playback.file import check_target

        check_target(output)
    spoken = whole_or_pieces(text, file)
    if compare and not isinstance(spoken, str):
        spoken = "".join(spoken)
    fields = {"voice": voice, "chunk": chunk, "speed": speed, "seed": seed}
    request = Wanted(spoken, {name: value for name, value in fields.items() if value is not None})

    def sink(rate: int) -> Sink:
        from tts_cli.playback.opening import open_sink

        return open_sink(output, output_device, rate)

    if not compare:
        _show({"": _heard(address, token, request, sink)})
        return
    from tts_cli.playback import NullSink

    runs: dict[str, Heard] = {}
    for name, path in PATHS.items():
        runs[name] = _heard(
            urlunsplit((*urlsplit(address)[:2], path, "", "")),
            token,
            request,
            (lambda _rate: NullSink()) if runs else sink,
        )
    _show(runs)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url!r} is not the address of a WebSocket", "write it as ws://127.0.0.1:8765")
    path = PATHS["streaming"] if parts.path in ("", "/") else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _heard(address: str, token: str, request: Wanted, sink: Any) -> Heard:
    """Ask for a text, and play it."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
    from websockets.sync.client import connect

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection = connect(
            address,
            proxy=None,
            additional_headers=headers,
            open_timeout=OPEN_SECONDS,
            close_timeout=1,
            ping_timeout=None,  # it plays while it reads, and the answer comes after all sound that was sent before
            max_size=None,
        )
    except InvalidStatus as error:
        raise _refused(error.response.status_code, bytes(error.response.body or b"")) from error
    except (OSError, WebSocketException, ValueError) as error:
        raise TTSError(f"cannot connect to {address}: {error}", "is `tts serve` running there?") from error
    with connection:
        try:
            return _played(connection, request, sink)
        except ConnectionClosed as error:
            told = error.rcvd.reason if error.rcvd else ""
            raise TTSError(f"the server has closed the connection: {told or error}", "try again") from error


def _refused(status: int, body: bytes) -> TTSError:
    try:
        message = str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        message = "is this the address of `tts serve`?"
    kind = UsageError if status in (400, 401, 403, 404) else TTSError
    return kind(f"the server refuses with status {status}", message)


def _send(connection: Any, request: Wanted, failed: list[TTSError]) -> None:
    """Send a text, or begin to send its pieces in a thread; `failed` gets what goes wrong there."""
    if isinstance(request.text, str):
        connection.send(json.dumps({"type": "speak", "text": request.text, **request.options}))
        return
    pieces = request.text

    def send_pieces() -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):
            try:
                for piece in pieces:
                    connection.send(json.dumps({"type": "text", "text": piece}))
            except TTSError as error:
                failed.append(error)
            connection.send(json.dumps({"type": "end"}))

    connection.send(json.dumps({"type": "text", "text": "", **request.options}))
    # A read of a pipe cannot be interrupted, so the thread may outlive the connection.
    threading.Thread(target=send_pieces, name="send text", daemon=True).start()


def _played(connection: Any, request: Wanted, open_sink: Any) -> Heard:
    import numpy as np

    from tts_cli.audio import AudioChunk, as_samples
    from tts_cli.segment import Segment

    heard, began = Heard(), monotonic()
    sink: Sink | None = None
    segment = Segment.of("")
    failed: list[TTSError] = []
    _send(connection, request, failed)
    try:
        while True:
            message = connection.recv()
            now = monotonic() - began
            if isinstance(message, bytes):
                if not heard.rate:
                    raise TTSError("the server sends sound before its sample rate", "is this `tts serve`?")
                heard.first = now if heard.first is None else heard.first
                heard.chunks += 1
                heard.bytes += len(message)
                sink = sink or open_sink(heard.rate)
                samples = as_samples(np.frombuffer(message, "<i2")) / 32767
                sink.write(AudioChunk(samples, heard.rate, segment), 0.0)
                continue
            event = _event(message)
            if event.get("type") == "start":
                heard.rate = int(event["sample_rate"])
            elif event.get("type") == "error":
                told = event["error"]
                kind = UsageError if told.get("type") == "invalid_request_error" else TTSError
                raise next(iter(failed), kind(f"the server says: {told.get('message')}"))
            elif event.get("type") == "done":
                heard.total, heard.server = now, event
                if sink is not None:
                    (sink.play_out if failed else sink.finish)()
                if failed:
                    raise failed[0]
                return heard
    except KeyboardInterrupt:
        if sink is not None:
            sink.interrupt()
        raise
    finally:
        if sink is not None:
            sink.close()


def _event(message: str) -> dict[str, Any]:
    try:
        event = json.loads(message)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise TTSError("the server sends what is not JSON", "is this the address of `tts serve`?")
    return event


def _show(runs: Mapping[str, Heard]) -> None:
    """Print the measurements: a column for each run and end."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", *(f"{name} {end}".strip() for name in runs for end in ("server", "client")), box=None)
    rows: dict[str, list[object]] = {}
    for run in runs.values():
        told = run.server
        for label, server, client in (
            ("first audio, ms", told.get("first_audio_ms"), run.first and round(1000 * run.first, 1)),
            ("total, ms", told.get("total_time_ms"), round(1000 * run.total, 1)),
            ("sound, ms", told.get("audio_duration_ms"), round(1000 * _seconds(run), 1)),
            ("RTF", told.get("rtf"), round(run.total / _seconds(run), 4) if run.bytes else None),
            ("chunks", told.get("chunks"), run.chunks),
            ("KB", None, round(run.bytes / 1000, 1)),
        ):
            rows.setdefault(label, []).extend((server, client))
    for label, cells in rows.items():
        table.add_row(label, *("" if cell is None else harmless(str(cell)) for cell in cells))
    Console(markup=False, soft_wrap=True, width=100).print(table)


def _seconds(run: Heard) -> float:
    return run.bytes / 2 / run.rate if run.rate else 0.0
