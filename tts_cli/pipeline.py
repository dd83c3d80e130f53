"""The one loop: sentences → chunks → sink; with a way to stop it at once and to be sure that everything is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from tts_cli.audio import SAMPLE_RATE, AudioChunk
from tts_cli.engines import MAX_CHARS, Engine, SpeakOptions
from tts_cli.errors import MissingError, NothingToSayError, SegmentError, TextError, UnspokenError, UsageError
from tts_cli.metrics import Meter, State
from tts_cli.prebuffer import Forecast
from tts_cli.segment import Segment, Sentence
from tts_cli.sinks import Sink
from tts_cli.source import TextSource

FAILURES_IN_A_ROW: Final = 5
"""An engine that fails on so many segments one after another would fail on the others too."""


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class _Outcome:
    """What has become of the segments so far."""

    failures: list[SegmentError] = field(default_factory=list)
    spoken: bool = False
    """Whether any of them has sounded to its end."""


def synthesize(
    engine: Engine,
    voice: str,
    options: SpeakOptions,
    source: TextSource,
    meter: Meter,
    pending: Callable[[], None] = _nothing,
    failed: Callable[[SegmentError], None] = _nothing,
) -> Generator[AudioChunk, None, None]:
    """Everything `source` holds, as sound; `pending` is called before a wait for text that has yet to arrive.

    In `simple` mode all of it is computed before the first chunk is given.

    A segment on which the engine fails is left out, and `failed` is told at once. It ends everything if
    `options.strict`, or if it is one of `FAILURES_IN_A_ROW`: then `SegmentError` is raised.

    Raises
    ------
    NothingToSayError
        The engine finds no sound in the text.
    TextError
        After the sound of what stands before the place from which the text cannot be read.
    UnspokenError
        After all sound, if a segment was left out. Where no other has sounded, a file is not kept.
    TTSError
        Whatever else the source raises, and what the engine says of the request or of this machine.
    """
    outcome = _Outcome()

    def wait_for_text() -> None:
        meter.text_pending()
        pending()

    chunks = _computed(engine, voice, options, source, meter, wait_for_text, failed, outcome)
    unreadable: list[TextError] = []
    chunks = _until_unreadable(chunks, unreadable)
    yield from list(chunks) if options.mode == "simple" else chunks
    if unreadable:
        raise unreadable[0]
    if outcome.failures:
        raise UnspokenError(outcome.failures, rest_spoken=outcome.spoken)
    if not meter.snapshot().chunks:
        raise NothingToSayError("this voice finds nothing to speak in the text", "give it words")


def _until_unreadable(chunks: Iterator[AudioChunk], unreadable: list[TextError]) -> Iterator[AudioChunk]:
    try:
        yield from chunks
    except TextError as error:
        unreadable.append(error)


def _computed(
    engine: Engine,
    voice: str,
    options: SpeakOptions,
    source: TextSource,
    meter: Meter,
    pending: Callable[[], None],
    failed: Callable[[SegmentError], None],
    outcome: _Outcome,
) -> Iterator[AudioChunk]:
    pause_owed = False
    failures_in_a_row = 0
    for segment in _segments(source, engine.groups_sentences, pending):
        meter.text_known(segment.text)
        pause_owed |= segment.new_paragraph
        sounded = False
        try:
            with closing(_spoken(engine, voice, options, segment, meter)) as chunks:
                for chunk in chunks:
                    if pause_owed:
                        yield from _paragraph_pause(options.pause, meter)
                        pause_owed = False
                    meter.chunk_computed(chunk)
                    yield chunk
                    sounded = True
            outcome.spoken |= sounded
            failures_in_a_row = 0
        except SegmentError as error:
            failures_in_a_row += 1
            if options.strict or failures_in_a_row == FAILURES_IN_A_ROW:
                raise
            outcome.failures.append(error)
            meter.segment_failed()
            failed(error)


def _spoken(
    engine: Engine, voice: str, options: SpeakOptions, segment: Segment, meter: Meter
) -> Generator[AudioChunk, None, None]:
    """One segment, as sound. Raises `SegmentError` where the engine fails on it."""
    with _about(segment):
        stream = engine.stream(segment, voice, options)
    try:
        while True:
            with meter.computing(), _about(segment):
                chunk = next(stream, None)
            if chunk is None:
                return
            yield chunk
    finally:
        if isinstance(stream, Generator):
            stream.close()


@contextmanager
def _about(segment: Segment) -> Iterator[None]:
    """What the engine raises here is about `segment`, unless it is about the request or this machine."""
    try:
        yield
    except (UsageError, MissingError):
        raise
    except Exception as error:
        raise SegmentError(segment.text, error) from error


def _paragraph_pause(seconds: float, meter: Meter) -> Iterator[AudioChunk]:
    """The silence between two paragraphs, besides what the engine puts after every sentence."""
    if meter.snapshot().chunks and (samples := round(seconds * SAMPLE_RATE)):
        silence = AudioChunk(np.zeros(samples, np.float32))
        meter.chunk_computed(silence)
        yield silence


def _segments(source: TextSource, grouped: bool, pending: Callable[[], None]) -> Iterator[Segment]:
    """One sentence each; or, `grouped`, as many of a paragraph as are at hand and fit into `MAX_CHARS`."""
    number = 0
    while (sentence := source.next_sentence(pending)) is not None:
        segment = Segment(number, (sentence,))
        while grouped and (more := source.join_next(partial(_fits, segment))) is not None:
            segment = segment.joined(more)
        yield segment
        number += 1


def _fits(segment: Segment, sentence: Sentence) -> bool:
    """Whether `sentence` may be spoken together with `segment`."""
    return not sentence.new_paragraph and len(segment.joined(sentence).text) <= MAX_CHARS


@dataclass(frozen=True, slots=True)
class Ready:
    """What a run speaks with, once it is loaded and open."""

    engine: Engine
    voice: str
    sink: Sink


class Speaking:
    """One run into a sink, loading included, in a thread of its own: the caller's thread stays free for the display,
    and Ctrl-C, which Python raises there, meets no half-loaded library and no half-opened file.

        run = Speaking(prepare, options, source, meter)
        run.start()
        while not run.wait(0.1): show(run.state)
        run.result()

    `prepare` loads and opens, and leaves what is to be closed in the stack that it is given. `failed` is told of each
    segment that is left out, in the run's thread.
    """

    def __init__(
        self,
        prepare: Callable[[ExitStack], Ready],
        options: SpeakOptions,
        source: TextSource,
        meter: Meter,
        failed: Callable[[SegmentError], None] = _nothing,
    ) -> None:
        self._prepare = prepare
        self._options = options
        self._source = source
        self._meter = meter
        self._failed = failed
        self._opened = ExitStack()
        self._closing = threading.Lock()
        self._ready: Ready | None = None
        self._cancelled = False
        self._error: BaseException | None = None
        self._closing_error: BaseException | None = None
        self._state: State = "loading"
        # Not the thread's own end: a join that Ctrl-C breaks off can take a running thread for ended (CPython 3.11).
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speak", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the run has ended, and closed what it opened."""
        return self._ended.wait(seconds)

    def result(self) -> None:
        """Wait for the end and raise what went wrong, if anything did.

        In a run that was cancelled, only what went wrong while closing counts: Ctrl-C reaches the writer of the text
        and the player of the sound, too, and that they are gone is no fault.
        """
        self._ended.wait()
        if self._error is not None and not self._cancelled:
            raise self._error
        if self._closing_error is not None:
            raise self._closing_error

    def cancel(self) -> None:
        """Fall silent now, and end the run as soon as the engine's present step is done."""
        self._cancelled = True
        if self._ready is not None:
            self._ready.sink.interrupt()
        self._source.close()

    def abandon(self) -> None:
        """Close everything, though a cancelled run is still stuck in a step."""
        with self._closing:  # by the run itself, perhaps, which is then waited for
            self._opened.close()

    @property
    def state(self) -> State:
        """What the run is busy with."""
        return "interrupted" if self._cancelled else self._state

    @property
    def ready(self) -> Ready | None:
        """What the run speaks with; None while it loads."""
        return self._ready

    def _run(self) -> None:
        try:
            self._speak()
        except BaseException as error:  # noqa: BLE001  raised again where `result` is asked for
            self._error = error
        try:
            with self._closing:
                self._opened.close()
        except BaseException as error:  # noqa: BLE001  likewise
            self._closing_error = error
        finally:
            self._ended.set()

    def _speak(self) -> None:
        ready = self._prepare(self._opened)
        if self._cancelled:
            return
        self._state = "computing"
        self._ready = ready
        incomplete: TextError | UnspokenError | None = None
        try:
            self._deliver(ready)
        except (TextError, UnspokenError) as error:
            if not (error.rest_spoken if isinstance(error, UnspokenError) else self._meter.snapshot().chunks):
                raise
            incomplete = error  # what could be spoken is heard to its end
        if self._cancelled:
            return
        self._state = "finishing"
        if isinstance(incomplete, TextError):
            ready.sink.play_out()
            raise incomplete
        ready.sink.finish()
        self._state = "done"
        if incomplete is not None:
            raise incomplete

    def _deliver(self, ready: Ready) -> None:
        chunks = synthesize(
            ready.engine,
            ready.voice,
            self._options,
            self._source,
            self._meter,
            lambda: self._text_pending(ready.sink),
            self._failed,
        )
        forecast = Forecast()
        with closing(chunks):  # whatever ends the run: a thread of the engine's must not outlive it
            for chunk in chunks:
                if self._cancelled:
                    return
                needed = forecast.needed(self._meter.snapshot(), chunk.seconds, self._source.waiting_characters)
                self._meter.chunk_handed(chunk)
                ready.sink.write(chunk.samples, 0.0 if self._options.mode == "simple" else needed)
                self._state = "computing"

    def _text_pending(self, sink: Sink) -> None:
        self._state = "waiting for text"
        sink.text_pending()
