"""One run of `tts speak`, seen from the terminal: load, show, answer Ctrl-C, sum up."""

from __future__ import annotations

import json as json_format
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import NoReturn

import typer
from rich.console import Console

from tts_cli import signals
from tts_cli.cli.display import View, render, report, summary
from tts_cli.engines.registry import choose, split
from tts_cli.errors import MissingError, SegmentError, UnspokenError
from tts_cli.metrics import Meter
from tts_cli.playback import Sink, SinkStatus
from tts_cli.session import Session
from tts_cli.shown import harmless, on_one_line
from tts_cli.text.sources import TextSource
from tts_cli.utterance import Ready, Utterance

REFRESH_SECONDS = 0.1
PATIENCE_SECONDS = 3.0
"""How long an interrupted engine may go on with its present step before we leave without it."""
LOADING_SECONDS = 0.2
"""The same for one that is still being loaded: nothing has been made that could be kept."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the sound is to go: how to open it, its name (None for the speaker), and what to write without one."""

    open: Callable[[int, Event], Sink]
    """For sound of so many samples a second. Waits for the reader of a named pipe, until the event is set."""
    output: str | None
    fallback: Path | None
    clobber: bool = True
    """Whether a file that is there may be replaced by the fallback."""
    cancelled: Event = field(default_factory=Event)


def speak_live(
    engine_name: str,
    voice: str | None,
    given: Mapping[str, object],
    source: TextSource,
    destination: Destination,
    strict: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Load engine and sink side by side, speak, show, and report. Raises `TTSError` and, after Ctrl-C, `SystemExit`.

    `given`: settings and options of the engine, as the user set them.
    """
    console = Console(stderr=True, highlight=False, markup=False)
    meter = Meter()
    spec, notice = choose(engine_name, voice, given)
    settings, options = split(spec, given)
    output = ""

    def prepare(stack: ExitStack, pending: Callable[[], None]) -> Ready:
        nonlocal output
        # Opening a device takes about as long as loading the built-in voice: side by side, half the wait.
        opening = stack.enter_context(ThreadPoolExecutor(1)).submit(_opened, destination, spec.sample_rate, console)
        stack.callback(_close_opened, opening, destination)
        session = stack.enter_context(Session(spec, settings, voice))
        if session.notice and not quiet:
            console.print(f"tts: {on_one_line(session.notice)}", soft_wrap=True)
        sink, output = opening.result()
        segments = session.segments(source, meter, pending=pending, failed=failed, noticed=noticed, strict=strict)
        return Ready(session.engine, session.voice, options, sink, segments)

    def failed(error: SegmentError) -> None:
        console.print(f"tts: {on_one_line(str(error))}", soft_wrap=True)

    def noticed(notice: str) -> None:
        console.print(f"tts: {on_one_line(notice)}", soft_wrap=True)

    run = Utterance(prepare, source, meter)

    def view() -> View:
        ready, snapshot = run.ready, meter.snapshot()
        if ready is None:
            return View(spec.name, voice or "", options.mode, "", run.state, snapshot, SinkStatus())
        engine, status = ready.engine, ready.sink.status()
        return View(engine.name, ready.voice, options.mode, engine.precision, run.state, snapshot, status)

    ended = True
    try:
        with _display(console, quiet) as show:
            show(view())
            run.start()
            while not run.wait(REFRESH_SECONDS):
                show(view())
            show(view())
    except KeyboardInterrupt:
        run.cancel()
        destination.cancelled.set()
        try:
            ended = run.wait(PATIENCE_SECONDS if run.ready else LOADING_SECONDS)
        except KeyboardInterrupt:  # a second Ctrl-C does not wait; a third need not even be polite
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _leave(run)
    unspoken = False
    if ended:
        try:
            run.result()
        except UnspokenError as error:  # each piece has been told
            if not error.rest_spoken:
                raise typer.Exit(1) from error
            unspoken = True
    last = view()
    if run.ready is not None:
        if notice and not quiet:
            console.print(f"tts: {harmless(notice)}", soft_wrap=True)
        if not quiet:
            console.print(harmless(summary(last, output)), soft_wrap=True)
        if json:
            print(json_format.dumps(report(last, last.run.characters, output)), flush=True)  # noqa: T201
    if not ended:
        _leave(run)
    if last.state == "interrupted":
        sys.exit(signals.exit_code())
    if unspoken:
        raise typer.Exit(1)


def _leave(run: Utterance) -> NoReturn:
    """End the process though the run has not ended; what was written is kept."""
    # Closing may wait for what the run is stuck in.
    closing = Thread(target=run.abandon, daemon=True)
    closing.start()
    closing.join(PATIENCE_SECONDS)
    # The interpreter's end would tear the run's thread out of C++ code, which aborts the process.
    os._exit(signals.exit_code())


def _close_opened(opening: Future[tuple[Sink, str]], destination: Destination) -> None:
    """Close the sink, unless there is none."""
    destination.cancelled.set()
    if opening.exception() is None:
        opening.result()[0].close()


def _opened(destination: Destination, rate: int, console: Console) -> tuple[Sink, str]:
    from tts_cli.playback.file import FileSink

    try:
        sink = destination.open(rate, destination.cancelled)
    except MissingError as error:
        if destination.fallback is None:
            raise
        line = f"tts: {error.message}; writing {destination.fallback} instead"
        console.print(on_one_line(line), soft_wrap=True)
        return FileSink(destination.fallback, rate, destination.clobber), str(destination.fallback)
    return sink, "standard output" if destination.output == "-" else destination.output or ""


@contextmanager
def _display(console: Console, quiet: bool) -> Iterator[Callable[[View], None]]:
    """A live display where there is a terminal that understands one, else nothing."""
    if quiet or not console.is_terminal or console.is_dumb_terminal or "NO_COLOR" in os.environ:
        yield lambda _view: None
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda view: live.update(render(view), refresh=True)
