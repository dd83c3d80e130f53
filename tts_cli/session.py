"""An engine that is loaded once and speaks many times, from any thread.

with tts_cli.load("builtin") as tts:
    tts.speak("Hello, world.")
    for chunk in tts.stream("And again."):
        ...
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tts_cli.checks import instance
from tts_cli.engines import Engine, EngineSettings, EngineSpec, SpeakOptions
from tts_cli.engines.options import declared, make
from tts_cli.engines.registry import check_has, foreign_tags, load_engine
from tts_cli.errors import SegmentError, UsageError
from tts_cli.metrics import Meter, Snapshot
from tts_cli.pipeline import synthesize
from tts_cli.playback import Sink
from tts_cli.playback.opening import open_sink
from tts_cli.segments import TextSegments
from tts_cli.text.given import Text, checked_text, source_of
from tts_cli.text.sources import ReadyText, TextSource
from tts_cli.utterance import Ready, Utterance

if TYPE_CHECKING:
    from tts_cli.audio import AudioChunk


class Session:
    """A loaded engine. Its methods may be called from several threads at once.

    `tts_cli.load` makes one. Closing it cancels the utterances that `speak` and `start` began, waits for them and lets
    the engine go.

    Parameters
    ----------
    spec
        The engine.
    settings
        What it is told when it loads.
    voice
        The voice to speak with; None for the engine's default.

    Attributes
    ----------
    spec : EngineSpec
        What is known of the engine.
    engine : Engine
        The engine itself.
    voice : str
        The voice that is spoken with where no other is asked for.

    Raises
    ------
    MissingError
        Where this machine lacks something that the engine needs.
    UsageError
        For a voice that the engine has not.
    TTSError
        Whatever else loading raises.
    """

    def __init__(self, spec: EngineSpec, settings: EngineSettings, voice: str | None = None) -> None:
        self.spec = spec
        self.engine: Engine = load_engine(spec, settings)
        self._running: WeakSet[Utterance] = WeakSet()
        self._starting = threading.Lock()
        self._closed = False
        try:
            self.voice = self._checked(voice) if voice is not None else self.voices()[0]
        except BaseException:
            self.engine.close()
            raise

    @property
    def notice(self) -> str:
        """What the engine did not do as it was asked to when it loaded, such as using a GPU. Usually empty."""
        return str(getattr(self.engine, "notice", ""))

    def voices(self) -> list[str]:
        """Names of the voices that it can speak with, the engine's default first."""
        return self.engine.voices()

    def stream(
        self, text: Text | ReadyText, *, voice: str | None = None, strict: bool = False, **options: Any
    ) -> Generator[AudioChunk, None, None]:
        """Chunks of sound, each as soon as it is computed.

        Parameters
        ----------
        text
            A whole text, or an iterable of its pieces.
        voice
            One of `voices()`; None for the session's own.
        strict
            Whether a piece of text that the engine fails on ends everything. Else it is left out.
        **options
            What the engine's options hold: `chunk`, `mode`, `seed`, `speed`, `pause`, and more where it has more.

        Returns
        -------
        Generator of AudioChunk
            Closing it ends the computation.

        Raises
        ------
        UnspokenError
            After the last chunk, where the engine failed on some of the text.
        SegmentError
            Where it did, with `strict`.
        TTSError
            For what a caller can mend: at once where it is known already, else while iterating.

        Examples
        --------
        >>> with tts_cli.load("builtin") as tts:  # doctest: +SKIP
        ...     seconds = sum(chunk.seconds for chunk in tts.stream("Hello, world."))
        """
        chosen, made = self._checked(voice), self.options(options)
        return self._stream(checked_text(text), chosen, made, strict)

    def _stream(
        self, text: ReadyText | Iterable[str], voice: str, options: SpeakOptions, strict: bool
    ) -> Generator[AudioChunk, None, None]:
        meter = Meter()
        with closing(source_of(text)) as source:
            segments = self.segments(source, meter, strict=strict)
            with closing(synthesize(self.engine, voice, options, segments, meter)) as chunks:
                yield from chunks

    def speak(
        self,
        text: Text | ReadyText,
        *,
        voice: str | None = None,
        strict: bool = False,
        output: str | Path | None = None,
        device: str | int | None = None,
        **options: Any,
    ) -> Snapshot:
        """Play a text, or write it to a file. Returns when it is heard, or written.

        Parameters
        ----------
        text, voice, strict, **options
            As for `stream`.
        output
            A file to write: .wav, .flac, .mp3 or .ogg. None to play.
        device
            The audio output, by its number or a part of its name; None for the system's default.

        Returns
        -------
        Snapshot
            The measurements.

        Raises
        ------
        UnspokenError
            After everything else was heard or written, where the engine failed on some of the text.
        SegmentError
            Where it did, with `strict`.
        TTSError
            For what a caller can mend.
        """
        meter = Meter()
        utterance = self.start(text, voice=voice, strict=strict, output=output, device=device, meter=meter, **options)
        try:
            utterance.result()
        except KeyboardInterrupt:
            utterance.cancel()
            utterance.wait()
            raise
        return meter.snapshot()

    def start(
        self,
        text: Text | ReadyText,
        *,
        voice: str | None = None,
        strict: bool = False,
        output: str | Path | None = None,
        device: str | int | None = None,
        sink: Sink | None = None,
        meter: Meter | None = None,
        **options: Any,
    ) -> Utterance:
        """Begin to speak a text, and return at once.

        Parameters
        ----------
        text, voice, strict, output, device, **options
            As for `speak`.
        sink
            Where the sound goes, in place of `output` and `device`. It is closed at the end.
        meter
            Takes the measurements.

        Returns
        -------
        Utterance
            To wait for, pause, skip in or cancel.

        Raises
        ------
        TTSError
            For what is known to be wrong already; `Utterance.result` raises the rest.
        """
        chosen, made, known = self._checked(voice), self.options(options), checked_text(text)
        measuring = meter or Meter()
        instance("output", output, (str, Path, NoneType), "a file name, a Path or None")
        instance("device", device, (str, int, NoneType), "a number, a name or None")
        source = source_of(known)

        def prepare(stack: ExitStack, pending: Callable[[], None]) -> Ready:
            opened = stack.enter_context(closing(sink or open_sink(output, device, self.engine.sample_rate)))
            segments = self.segments(source, measuring, pending=pending, strict=strict)
            return Ready(self.engine, chosen, made, opened, segments)

        utterance = Utterance(prepare, source, measuring)
        with self._starting:
            if self._closed:
                raise UsageError("this session is closed", "load another with tts_cli.load")
            self._running.add(utterance)
            utterance.start()
        return utterance

    def options(self, given: Mapping[str, object]) -> SpeakOptions:
        """The engine's options: what was `given` by name, the rest by default.

        Raises
        ------
        UsageError
            For an option that the engine has not, or a value that is not allowed.
        """
        check_has(self.spec, given)
        for name in given:
            if name not in declared(self.spec.options):
                raise UsageError(f"{name} is told to the engine {self.spec.name} once", "give it to tts_cli.load")
        return make(self.spec.options, given)

    def close(self) -> None:
        """Cancel what is running, wait for it, and let the engine go. Calling it twice is harmless."""
        with self._starting:
            self._closed = True
            running = list(self._running)
        for utterance in running:
            utterance.cancel()
        for utterance in running:
            utterance.wait()
        self.engine.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def segments(
        self,
        source: TextSource,
        meter: Meter,
        *,
        pending: Callable[[], None] = lambda: None,
        failed: Callable[[SegmentError], None] = lambda _: None,
        noticed: Callable[[str], None] = lambda _: None,
        strict: bool = False,
    ) -> TextSegments:
        """The segments of a text, as this engine takes them: see `TextSegments`."""
        return TextSegments(
            source,
            meter,
            together=self.spec.together,
            left_out=foreign_tags(self.spec),
            pending=pending,
            failed=failed,
            noticed=noticed,
            strict=strict,
        )

    def _checked(self, voice: str | None) -> str:
        """`voice`, or the session's own for None. Raises `UsageError` for one that the engine has not."""
        if self._closed:
            raise UsageError("this session is closed", "load another with tts_cli.load")
        instance("voice", voice, (str, NoneType), "a name or None")
        if voice is None:
            return self.voice
        voices = self.voices()
        if voice not in voices:
            raise UsageError(f"the {self.spec.name} engine has no voice {voice!r}", f"it has: {', '.join(voices)}")
        return voice
