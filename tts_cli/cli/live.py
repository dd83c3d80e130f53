"""One run of `tts speak` in a terminal: it loads, shows the display, handles Ctrl-C and prints the summary."""

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
from tts_cli.cli.controls import Controls
from tts_cli.cli.defaults import chosen
from tts_cli.cli.display import View, has_live_display, left_to, render, report, summary
from tts_cli.cli.settings import Settings
from tts_cli.engines import Engine, EngineSettings, EngineSpec
from tts_cli.engines.registry import load_engine
from tts_cli.errors import MissingError, SegmentError, UnspokenError
from tts_cli.metrics import Meter
from tts_cli.playback import Sink, SinkStatus
from tts_cli.printable import harmless, on_one_line
from tts_cli.session import Session
from tts_cli.subtitles.following import FollowedSink
from tts_cli.text.sources import TextSource
from tts_cli.utterance import Ready, Utterance

REFRESH_SECONDS = 0.1
PATIENCE_SECONDS = 3.0
"""How long an interrupted engine may take to finish its step before the process ends without it."""
LOADING_SECONDS = 0.2
"""The same for an engine that is being loaded: there is no sound to keep."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the sound goes. `output` is its name, None for a speaker; `fallback` is the file if there is no speaker."""

    open: Callable[[int, Event], Sink]
    """Opens the sink, given samples a second. Waits for the reader of a named pipe until the event is set."""
    output: str | None
    fallback: Path | None
    subtitles: Path | None = None
    """The file for subtitles, if there is to be one."""
    clobber: bool = True
    """Whether the fallback and the subtitles may replace existing files."""
    cancelled: Event = field(default_factory=Event)


def speak_live(
    engine_name: str,
    voice: str | None,
    given: Mapping[str, object],
    settings: Settings,
    source: TextSource,
    destination: Destination,
    strict: bool,
    json: bool,
    quiet: bool,
    keys: bool,
    text_shown: bool,
    load: Callable[[EngineSpec, EngineSettings], Engine] = load_engine,
) -> None:
    """Load the engine and open the sink at the same time, speak, show the display, and print the results.

    Parameters
    ----------
    engine_name, voice
        As for `registry.choose`.
    given
        Settings and options of the engine that the user has set.
    settings
        The user's settings, for all others.
    source
        The text.
    destination
        Where the sound goes.
    strict
        Whether the first piece of text that the engine fails on ends everything.
    json
        Whether to print the measurements on standard output.
    quiet
        Whether to leave out the display and the summary.
    keys
        Whether keys of the terminal steer the run, if the display is shown.
    text_shown
        Whether the display shows the text that is heard.
    load
        Loads the engine.

    Raises
    ------
    TTSError
        What loading, speaking and delivering raise.
    SystemExit
        After Ctrl-C.
    typer.Exit
        If some of the text could not be spoken.
    """
    console = Console(stderr=True, highlight=False, markup=False)
    meter = Meter()
    spec, voice, loading, options, notice = chosen(settings, engine_name, voice, given)
    output = ""

    def prepare(stack: ExitStack, pending: Callable[[], None]) -> Ready:
        nonlocal output
        # Opening a device takes about as long as loading the built-in voice, so both are done at the same time.
        opening = stack.enter_context(ThreadPoolExecutor(1)).submit(_opened, destination, spec.sample_rate, console)
        stack.callback(_close_opened, opening, destination)
        session = stack.enter_context(Session(spec, loading, voice, load))
        if session.notice and not quiet:
            console.print(f"tts: {on_one_line(session.notice)}", soft_wrap=True)
        sink, output = opening.result()
        if has_live_display(console) and not quiet:
            sink = controls.followed = FollowedSink(sink)
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
        shown = controls.line(console.width) if has_keys else ""
        followed = controls.followed if text_shown else None
        following = followed.following(ready.segments.coming) if followed is not None else None
        return View(
            engine.name,
            ready.voice,
            options.mode,
            engine.precision,
            run.state,
            snapshot,
            status,
            following,
            shown,
            getattr(engine, "repeated", 0),
            left_to(engine, options),
        )

    controls, has_keys = Controls(run, options.speed, options.volume), False
    ended = True
    try:
        with (
            _display(console, quiet) as show,
            _keys(controls, keys and not quiet and has_live_display(console)) as has_keys,
        ):
            show(view())
            run.start()
            while not run.wait(REFRESH_SECONDS):
                show(view())
            show(view())
    except KeyboardInterrupt:
        try:
            _cancel(run, destination)
            ended = run.wait(PATIENCE_SECONDS if run.ready else LOADING_SECONDS)
        except KeyboardInterrupt:  # after a second Ctrl-C nothing is waited for, and a third kills the process
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _cancel(run, destination)
            _leave(run)
    unspoken = False
    if ended:
        try:
            run.result()
        except UnspokenError as error:  # `failed` has printed each piece
            if not error.rest_spoken:
                raise typer.Exit(1) from error
            unspoken = True
    last = view()
    if run.ready is not None:
        if notice and not quiet:
            console.print(f"tts: {harmless(notice)}", soft_wrap=True)
        if not quiet:
            console.print(harmless(summary(last, output)), soft_wrap=True)
            remedy = getattr(run.ready.engine, "if_slow", "")
            if remedy and last.state == "done" and (last.run.rtf or 0) > 1:
                slow = f"tts: sound is computed more slowly than it is heard; {remedy}"
                console.print(on_one_line(slow), soft_wrap=True)
        if json:
            print(json_format.dumps(report(last, last.run.characters, output)), flush=True)  # noqa: T201
    if not ended:
        _leave(run)
    if last.state == "interrupted":
        sys.exit(signals.exit_code())
    if unspoken:
        raise typer.Exit(1)


def _cancel(run: Utterance, destination: Destination) -> None:
    """End the run when its present step ends. Calling it twice is harmless."""
    run.cancel()
    destination.cancelled.set()


def _leave(run: Utterance) -> NoReturn:
    """End the process though the run has not ended. What was written is kept."""
    # Closing may wait for the step that the engine has not finished.
    closing = Thread(target=run.abandon, daemon=True)
    closing.start()
    closing.join(PATIENCE_SECONDS)
    # A normal exit of the interpreter would end the run's thread inside C++ code, which aborts the process.
    os._exit(signals.exit_code())


def _close_opened(opening: Future[tuple[Sink, str]], destination: Destination) -> None:
    """Close the sink if it was opened."""
    destination.cancelled.set()
    if opening.exception() is None:
        opening.result()[0].close()


def _opened(destination: Destination, rate: int, console: Console) -> tuple[Sink, str]:
    sink, name = _opened_sound(destination, rate, console)
    if destination.subtitles is None:
        return sink, name
    from tts_cli.subtitles.sink import SubtitledSink
    from tts_cli.subtitles.target import SubtitleTarget

    try:
        target = SubtitleTarget(destination.subtitles, destination.cancelled, destination.clobber)
    except BaseException:
        sink.close()
        raise
    return SubtitledSink(sink, target), name


def _opened_sound(destination: Destination, rate: int, console: Console) -> tuple[Sink, str]:
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
def _keys(controls: Controls, wanted: bool) -> Iterator[bool]:
    """Let keys steer the run, if they are wanted. Yields whether they do."""
    if not wanted:
        yield False
        return
    from tts_cli.cli.keys import reading_keys

    with reading_keys(controls.pressed) as has_keys:
        yield has_keys


@contextmanager
def _display(console: Console, quiet: bool) -> Iterator[Callable[[View], None]]:
    """A function that shows a view: on a live display if the terminal supports one, otherwise nowhere."""
    if quiet or not has_live_display(console):
        yield lambda _view: None
        return
    from tts_cli.cli.screen import Screen

    with Screen(console) as screen:
        yield lambda view: screen.show(render(view, console.width))
