"""The one loop: sentences → chunks → sink; with a way to stop it at once and to be sure that everything is closed."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator

from tts_cli.audio import AudioChunk
from tts_cli.engines import Engine, SpeakOptions
from tts_cli.errors import NothingToSay
from tts_cli.metrics import Meter, State
from tts_cli.prebuffer import Forecast
from tts_cli.sinks import Sink
from tts_cli.source import TextSource
from tts_cli.text import MAX_CHARS


class Speaking:
    """One run, in a thread of its own: the caller's thread stays free for the display, and answers Ctrl-C at once
    however long a step of the engine takes.

        run = Speaking(engine, voice, options, source, sink, meter)
        run.start()
        while not run.wait(0.1): show(run.state)
        run.result()
    """

    def __init__(
        self, engine: Engine, voice: str, options: SpeakOptions, source: TextSource, sink: Sink, meter: Meter
    ) -> None:
        self._engine = engine
        self._voice = voice
        self._options = options
        self._source = source
        self._sink = sink
        self._meter = meter
        self._forecast = Forecast()
        self._needed = 0.0
        self._cancelled = False
        self._error: BaseException | None = None
        self._state: State = "computing"
        self._thread = threading.Thread(target=self._run, name="speak", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float | None) -> bool:
        """Wait at most so long; whether the run has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> None:
        """Wait for the end and raise what went wrong, if anything did."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Fall silent now and end the run as soon as the engine's present step is done."""
        self._cancelled = True
        self._sink.interrupt()
        self._source.close()

    @property
    def state(self) -> State:
        """What the run is busy with."""
        return self._state

    def _run(self) -> None:
        try:
            chunks: Iterable[AudioChunk] = self._computed()
            if self._options.mode == "simple":
                chunks = list(chunks)
                self._needed = 0.0
            for chunk in chunks:
                self._meter.chunk_handed(chunk)
                self._sink.write(chunk.samples, self._needed)
                self._state = "computing"
                if self._cancelled:
                    return
            if not self._cancelled:
                if not self._meter.snapshot().chunks:
                    raise NothingToSay("this voice finds nothing to speak in the text", "give it words")
                self._state = "finishing"
                self._sink.finish()
                self._state = "done"
        except BaseException as error:  # noqa: BLE001  it is raised again where `result` is asked for
            self._error = error
        finally:
            if self._cancelled:
                self._state = "interrupted"

    def _computed(self) -> Iterator[AudioChunk]:
        for text in self._texts():
            self._meter.text_known(text)
            self._forecast.text_began(len(text))
            stream = self._engine.stream(text, self._voice, self._options)
            try:
                while not self._cancelled:
                    with self._meter.computing():
                        chunk = next(stream, None)
                    if chunk is None:
                        break
                    self._meter.chunk_computed(chunk)
                    self._foresee(chunk)
                    yield chunk
            finally:
                if isinstance(stream, Generator):
                    stream.close()

    def _texts(self) -> Iterator[str]:
        """Sentences, or groups of them that an engine wants to speak in one breath, while they are at hand."""
        while not self._cancelled:
            text = self._source.next_sentence(self._text_pending)
            if text is None:
                return
            while self._engine.groups_sentences:
                more = self._source.join_next(MAX_CHARS - len(text) - 1)
                if more is None:
                    break
                text = f"{text} {more}"
            yield text

    def _text_pending(self) -> None:
        self._state = "waiting for text"
        if self._options.mode == "streaming":
            self._sink.text_pending()

    def _foresee(self, chunk: AudioChunk) -> None:
        now = self._meter.snapshot()
        waiting = self._source.waiting_characters
        self._needed = self._forecast.needed(now.computed, now.sound, chunk.seconds, waiting)
