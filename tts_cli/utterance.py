"""One text on its way to one sink, in a thread of its own, with the listener's hand on it.

utterance = session.start("A long text.", sink=sink)
utterance.pause()
utterance.resume()
utterance.skip(1)
utterance.result()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from tts_cli.audio import AudioChunk
from tts_cli.engines import Engine, SpeakOptions
from tts_cli.errors import UnspokenError
from tts_cli.metrics import Meter, State
from tts_cli.pipeline import deliver, synthesize
from tts_cli.playback import Sink
from tts_cli.playback.watch import Watch, watched
from tts_cli.segments import TextSegments
from tts_cli.text.sources import TextSource


@dataclass(frozen=True, slots=True)
class Ready:
    """What an utterance speaks with, once it is loaded and open."""

    engine: Engine
    voice: str
    options: SpeakOptions
    sink: Sink
    segments: TextSegments


class Utterance:
    """A running utterance. Every method may be called from any thread.

    The caller's thread stays free for a display, and Ctrl-C, which Python raises in the main thread, meets no
    half-loaded library and no half-opened file.

    Parameters
    ----------
    prepare
        Loads and opens, in the utterance's own thread. It is given a stack, in which it leaves what is to be closed,
        and what the segments are to call before they wait for text.
    source
        The text.
    meter
        Takes the measurements.

    Examples
    --------
    >>> utterance = Utterance(prepare, source, Meter())  # doctest: +SKIP
    >>> utterance.start()  # doctest: +SKIP
    >>> while not utterance.wait(0.1): print(utterance.state)  # doctest: +SKIP
    >>> utterance.result()  # doctest: +SKIP
    """

    def __init__(
        self, prepare: Callable[[ExitStack, Callable[[], None]], Ready], source: TextSource, meter: Meter
    ) -> None:
        self._prepare = prepare
        self._source = source
        self._meter = meter
        self._opened = ExitStack()
        self._closing = threading.Lock()
        self._ready: Ready | None = None
        self._cancelled = False
        self._paused = False
        self._steer = threading.RLock()  # pause, resume, skip and the sink's opening, one at a time
        self._flowing = threading.Event()
        self._flowing.set()
        self._error: BaseException | None = None
        self._closing_error: BaseException | None = None
        self._state: State = "loading"
        # Not the thread's own end: a join that Ctrl-C breaks off can take a running thread for ended (CPython 3.11).
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speak", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait at most so long, or to the end; whether the utterance has ended, and closed what it opened."""
        return self._ended.wait(seconds)

    def result(self) -> None:
        """Wait for the end and raise what went wrong, if anything did.

        In an utterance that was cancelled, only what went wrong while closing counts: Ctrl-C reaches the writer of the
        text and the player of the sound, too, and that they are gone is no fault.
        """
        self._ended.wait()
        if self._error is not None and not self._cancelled:
            raise self._error
        if self._closing_error is not None:
            raise self._closing_error

    def pause(self) -> None:
        """Fade out and be silent until `resume`. Computing goes on as far as the sink takes chunks.

        What the device has buffered is still heard, about 0.2 s of sound; see `docs/playback.md`.
        """
        with self._steer:
            self._paused = True
            if self._ready is not None and not self._ready.sink.pause():
                self._flowing.clear()

    def resume(self) -> None:
        """Go on with the sample after the last one that was played."""
        with self._steer:
            self._paused = False
            if self._ready is not None:
                self._ready.sink.resume()
            self._flowing.set()

    def skip(self, by: int) -> None:
        """Go `by` segments on, or back where `by` is negative.

        Going back reaches as far as the sink remembers its sound; a file or a pipe remembers nothing. Going on throws
        away what is left of the segment being heard.
        """
        with self._steer:
            if self._ready is None:
                return
            segments = self._ready.segments
            wanted = self._ready.sink.skip(by)
            if wanted is None and by > 0:
                wanted = (segments.sounding or 0) + by
            if wanted is not None:
                segments.wanted = max(segments.wanted, wanted)

    def cancel(self) -> None:
        """Fall silent now, and end as soon as the engine's present step is done."""
        self._cancelled = True
        if self._ready is not None:
            self._ready.sink.interrupt()
        self._end_waiting()

    def abandon(self) -> None:
        """Close everything, though a cancelled utterance is still stuck in a step."""
        with self._closing:  # where it is closing already, that is waited for
            self._opened.close()

    @property
    def state(self) -> State:
        """What the utterance is busy with."""
        if self._cancelled:
            return "interrupted"
        return "paused" if self._paused and self._state not in ("loading", "done") else self._state

    @property
    def ready(self) -> Ready | None:
        """What it speaks with; None while it loads."""
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
        ready = self._prepare(self._opened, self._text_pending)
        if self._cancelled:
            return
        with self._steer:
            self._state, self._ready = "computing", ready
            if self._paused:
                self.pause()
        chunks = synthesize(ready.engine, ready.voice, ready.options, ready.segments, self._meter)
        # Whatever ends this: a thread of the engine's must not outlive it.
        with watched(ready.sink, self._end_waiting) as watch, closing(chunks):
            incomplete = self._delivered(chunks, ready, watch)
        if self._cancelled:
            return
        self._state = "finishing"
        if incomplete is not None and incomplete is ready.segments.unreadable:
            ready.sink.play_out()
            raise incomplete
        ready.sink.finish()
        self._state = "done"
        if incomplete is not None:
            raise incomplete

    def _delivered(self, chunks: Iterator[AudioChunk], ready: Ready, watch: Watch) -> Exception | None:
        """Deliver all there is; the error after which what could be spoken is to be heard to its end."""
        simple = ready.options.mode == "simple"

        def go_on() -> bool:
            self._flowing.wait()
            self._state = "computing"
            return not self._cancelled and watch.failure is None

        try:
            deliver(chunks, ready.segments, ready.sink, self._meter, all_computed=simple, go_on=go_on)
        except Exception as error:
            if isinstance(error, UnspokenError) and error.rest_spoken:
                return error
            if error is ready.segments.unreadable and self._meter.snapshot().chunks:
                return error
            raise
        return None

    def _end_waiting(self) -> None:
        self._flowing.set()
        self._source.close()

    def _text_pending(self) -> None:
        self._state = "waiting for text"
        if self._ready is not None:
            self._ready.sink.text_pending()
