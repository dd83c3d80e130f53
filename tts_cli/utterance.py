"""One text that is spoken into one sink, in a thread of its own, and that can be paused, skipped in and cancelled."""

from __future__ import annotations

import sys
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
    """What an utterance speaks with, when the engine is loaded and the sink is open."""

    engine: Engine
    voice: str
    options: SpeakOptions
    sink: Sink
    segments: TextSegments


class Utterance:
    """A running utterance, as `Session.start` returns it. Every method may be called from any thread.

    Loading, opening and speaking happen in the utterance's own thread. The caller's thread stays free for a display,
    and Ctrl-C, which Python raises in the main thread, cannot interrupt the loading of a library.

    Parameters
    ----------
    prepare
        Called in the utterance's thread; loads the engine and opens the sink. It gets an `ExitStack` for what must be
        closed, and the function that the segments must call before they wait for text.
    source
        The text.
    meter
        Takes the measurements.

    Examples
    --------
    >>> import tts_cli
    >>> from tts_cli.playback import NullSink
    >>> with tts_cli.load("builtin") as tts:
    ...     utterance = tts.start("A long text.", sink=NullSink())
    ...     utterance.pause()
    ...     utterance.resume()
    ...     utterance.result()
    ...     utterance.state
    'done'
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
        self._steer = threading.RLock()  # held by pause, resume, skip, and while the sink becomes known
        self._flowing = threading.Event()
        self._flowing.set()
        self._error: BaseException | None = None
        self._closing_error: BaseException | None = None
        self._state: State = "loading"
        # Not the end of the thread: after Ctrl-C, a join can return while the thread runs (CPython 3.11).
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speak", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end.

        Parameters
        ----------
        seconds
            The longest wait; None for no limit.

        Returns
        -------
        bool
            Whether the utterance has ended and has closed everything that it opened.
        """
        return self._ended.wait(seconds)

    def result(self) -> None:
        """Wait for the end, and raise the error if there was one.

        Raises
        ------
        TTSError
            As `tts_cli.speak` does. After `cancel`, only errors of closing are raised: Ctrl-C also ends the programs
            that write the text and read the sound, so their absence is no error.
        """
        self._ended.wait()
        if self._error is not None and not self._cancelled:
            raise self._error
        if self._closing_error is not None:
            raise self._closing_error

    def pause(self) -> None:
        """Fade out and be silent until `resume`. Computing goes on as far as the sink takes chunks.

        The fade is heard after the sound that the device stores, usually within 50 ms; see `docs/playback.md`.
        """
        with self._steer:
            self._paused = True
            if self._ready is not None and not self._ready.sink.pause():
                self._flowing.clear()

    def resume(self) -> None:
        """Continue with the sample after the last one that was played."""
        with self._steer:
            self._paused = False
            if self._ready is not None:
                self._ready.sink.resume()
            self._flowing.set()

    def skip(self, by: int) -> None:
        """Go to another segment.

        A speaker stores the last 60 s of its sound for going back. A file or a pipe stores nothing. Going forward drops
        the rest of the segment that is being heard.

        Parameters
        ----------
        by
            How many segments to go forward, or back if it is negative.
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

    def adjust(self, speed: float, volume: float) -> bool:
        """Play at another pace and volume from now on, without computing anything again.

        Parameters
        ----------
        speed
            How many times as fast as the sound is computed: 0.25 to 4.
        volume
            How much louder, in dB; negative: quieter.

        Returns
        -------
        bool
            Whether that is possible now: the text is being spoken, and to a speaker. Files and pipes stay as they are.
        """
        with self._steer:
            return self._ready is not None and self._ready.sink.adjust(speed, volume)

    def cancel(self) -> None:
        """Fall silent at once, and end when the engine has finished its current step."""
        self._cancelled = True
        if self._ready is not None:
            self._ready.segments.wanted = sys.maxsize
            self._ready.sink.interrupt()
        self._end_waiting()

    def abandon(self) -> None:
        """Close everything that was opened, though the engine has not finished its step after `cancel`."""
        with self._closing:  # if it is being closed already, wait for that
            self._opened.close()

    @property
    def state(self) -> State:
        """What the utterance is doing."""
        if self._cancelled:
            return "interrupted"
        return "paused" if self._paused and self._state not in ("loading", "done") else self._state

    @property
    def ready(self) -> Ready | None:
        """What the utterance speaks with; None while it is loading."""
        return self._ready

    def _run(self) -> None:
        try:
            self._speak()
        except BaseException as error:  # noqa: BLE001  `result` raises it
            self._error = error
        try:
            with self._closing:
                self._opened.close()
        except BaseException as error:  # noqa: BLE001  `result` raises it
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
        if self._cancelled:  # in between, when `cancel` did not find `_ready`
            return
        chunks = synthesize(ready.engine, ready.voice, ready.options, ready.segments, self._meter)
        # `closing` ends the threads of the engine, however this ends.
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
        """Deliver all chunks. Returns an error after which the sound so far must be heard to its end."""
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
            self._deliver_held_back(self._ready)
            self._ready.sink.text_pending()

    def _deliver_held_back(self, ready: Ready) -> None:
        for chunk in ready.segments.held_back():
            self._meter.chunk_handed(chunk)
            self._meter.text_pending()  # what comes now is no computing
            self._flowing.wait()
            if not self._cancelled and chunk.segment.number >= ready.segments.wanted:
                ready.sink.write(chunk, 0.0)
