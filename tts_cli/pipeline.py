"""The one loop: sentences → chunks → sink; with a way to stop it at once and to be sure that everything is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from tts_cli.audio import AudioChunk
from tts_cli.engines import MAX_CHARS, Engine, SpeakOptions
from tts_cli.errors import NothingToSayError
from tts_cli.metrics import Meter, State
from tts_cli.prebuffer import Forecast
from tts_cli.sinks import Sink
from tts_cli.source import TextSource


def synthesize(
    engine: Engine,
    voice: str,
    options: SpeakOptions,
    source: TextSource,
    meter: Meter,
    pending: Callable[[], None] = lambda: None,
) -> Generator[AudioChunk, None, None]:
    """Everything `source` holds, as sound; `pending` is called before a wait for text that has yet to arrive.

    In `simple` mode all of it is computed before the first chunk is given. Raises `NothingToSayError` where the engine
    finds no sound in the text, and whatever source and engine raise.
    """
    chunks = _computed(engine, voice, options, source, meter, pending)
    yield from list(chunks) if options.mode == "simple" else chunks
    if not meter.snapshot().chunks:
        raise NothingToSayError("this voice finds nothing to speak in the text", "give it words")


def _computed(
    engine: Engine,
    voice: str,
    options: SpeakOptions,
    source: TextSource,
    meter: Meter,
    pending: Callable[[], None],
) -> Iterator[AudioChunk]:
    for text in _texts(source, engine.groups_sentences, pending):
        meter.text_known(text)
        stream = engine.stream(text, voice, options)
        try:
            while True:
                with meter.computing():
                    chunk = next(stream, None)
                if chunk is None:
                    break
                meter.chunk_computed(chunk)
                yield chunk
        finally:
            if isinstance(stream, Generator):
                stream.close()


def _texts(source: TextSource, grouped: bool, pending: Callable[[], None]) -> Iterator[str]:
    """Sentences; or, `grouped`, as many of them as are at hand and fit into `MAX_CHARS`."""
    while (text := source.next_sentence(pending)) is not None:
        while grouped and (more := source.join_next(MAX_CHARS - len(text) - 1)) is not None:
            text = f"{text} {more}"
        yield text


class Speaking:
    """One run into a sink, in a thread of its own: the caller's thread stays free for the display, and answers Ctrl-C
    at once however long a step of the engine takes.

        run = Speaking(engine, voice, options, source, sink, meter)
        run.start()
        while not run.wait(0.1): show(run.state)
        run.result()
    """

    def __init__(
        self, engine: Engine, voice: str, options: SpeakOptions, source: TextSource, sink: Sink, meter: Meter
    ) -> None:
        self._chunks = synthesize(engine, voice, options, source, meter, self._text_pending)
        self._simple = options.mode == "simple"
        self._source = source
        self._sink = sink
        self._meter = meter
        self._cancelled = False
        self._error: BaseException | None = None
        self._state: State = "computing"
        # Not the thread's own end: a join that Ctrl-C breaks off can take a running thread for ended (CPython 3.11).
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speak", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the run has ended."""
        return self._ended.wait(seconds)

    def result(self) -> None:
        """Wait for the end and raise what went wrong, if anything did."""
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Fall silent now, and end the run as soon as the engine's present chunk is done."""
        self._cancelled = True
        self._sink.interrupt()
        self._source.close()

    @property
    def state(self) -> State:
        """What the run is busy with."""
        return "interrupted" if self._cancelled else self._state

    def _run(self) -> None:
        try:
            with closing(self._chunks):  # whatever ends the run: a thread of the engine's must not outlive it
                self._speak()
        except BaseException as error:  # noqa: BLE001  raised again where `result` is asked for
            if not self._cancelled:
                self._error = error
        finally:
            self._ended.set()

    def _speak(self) -> None:
        forecast = Forecast()
        for chunk in self._chunks:
            if self._cancelled:
                return
            needed = forecast.needed(self._meter.snapshot(), chunk.seconds, self._source.waiting_characters)
            self._meter.chunk_handed(chunk)
            self._sink.write(chunk.samples, 0.0 if self._simple else needed)
            self._state = "computing"
        if self._cancelled:
            return
        self._state = "finishing"
        self._sink.finish()
        self._state = "done"

    def _text_pending(self) -> None:
        self._state = "waiting for text"
        self._sink.text_pending()
