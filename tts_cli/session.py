"""An engine that is loaded once and speaks many texts, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any
from weakref import WeakSet

from tts_cli.audio import AudioChunk
from tts_cli.checks import instance
from tts_cli.engines import Engine, EngineSettings, EngineSpec, SpeakOptions
from tts_cli.engines.options import declared, make
from tts_cli.engines.registry import check_has, foreign_tags, load_engine
from tts_cli.errors import UsageError
from tts_cli.metrics import Meter, Snapshot
from tts_cli.pipeline import synthesize
from tts_cli.playback import Sink
from tts_cli.playback.opening import open_sink
from tts_cli.segments import TextSegments
from tts_cli.text.caller_text import Text, checked_text, source_of
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.reading import DEFAULT_CODE, DEFAULT_FORMAT, Format, Reading
from tts_cli.text.sources import ReadyText, TextSource
from tts_cli.utterance import Ready, Utterance


class Session:
    """A loaded engine, as `tts_cli.load` returns it. Its methods may be called from several threads at once.

    Parameters
    ----------
    spec
        The engine to load.
    settings
        Its settings.
    voice
        The voice of the session; None for the engine's default.
    load
        Loads the engine.

    Attributes
    ----------
    engine : Engine
        The loaded engine.

    Raises
    ------
    TTSError
        As `tts_cli.load` does.
    """

    def __init__(
        self,
        spec: EngineSpec,
        settings: EngineSettings,
        voice: str | None = None,
        load: Callable[[EngineSpec, EngineSettings], Engine] = load_engine,
    ) -> None:
        self.spec = spec
        self.engine: Engine = load(spec, settings)
        self._running: WeakSet[Utterance] = WeakSet()
        self._starting = threading.Lock()
        self._closed = False
        try:
            self.voice = self.checked_voice(voice) if voice is not None else self.voices()[0]
        except BaseException:
            self.engine.close()
            raise

    @property
    def notice(self) -> str:
        """What the engine did not do as it was asked to when it loaded, such as using a GPU; usually empty."""
        return str(getattr(self.engine, "notice", ""))

    def settle(self) -> None:
        """Let the engine do now what makes later speech faster, before a server or a benchmark begins.

        Without this, the first sound is there sooner.
        """
        getattr(self.engine, "settle", lambda: None)()

    def voices(self) -> list[str]:
        """Names of the voices that the engine can speak with, its default first."""
        return self.engine.voices()

    def stream(
        self,
        text: Text | ReadyText,
        *,
        format: Format = DEFAULT_FORMAT,
        code: Code = DEFAULT_CODE,
        voice: str | None = None,
        strict: bool = False,
        **options: Any,
    ) -> Generator[AudioChunk, None, None]:
        """Give the sound of a text, in chunks, each as soon as it is computed.

        Parameters
        ----------
        text, format, code, strict, **options
            As for `tts_cli.speak`, but settings are given to `tts_cli.load`.
        voice
            The voice to speak with; None for the session's.

        Yields
        ------
        AudioChunk
            In order. Closing the generator ends the computation.

        Raises
        ------
        TTSError
            As `tts_cli.stream` does.

        Examples
        --------
        >>> import tts_cli
        >>> with tts_cli.load("builtin") as tts:
        ...     [chunk.segment.text for chunk in tts.stream("It rains. It pours.", chunk=100)]
        ['It rains.', 'It pours.']
        """
        chosen, made, reading = self.checked_voice(voice), self.options(options), Reading(format, code)
        return self._stream(checked_text(text, reading), reading, chosen, made, strict)

    def _stream(
        self, text: ReadyText | Iterable[str], reading: Reading, voice: str, options: SpeakOptions, strict: bool
    ) -> Generator[AudioChunk, None, None]:
        meter = Meter()
        with closing(source_of(text, reading)) as source:
            segments = self.segments(source, meter, strict=strict)
            with closing(synthesize(self.engine, voice, options, segments, meter)) as chunks:
                yield from chunks

    def speak(
        self,
        text: Text | ReadyText,
        *,
        format: Format = DEFAULT_FORMAT,
        code: Code = DEFAULT_CODE,
        voice: str | None = None,
        strict: bool = False,
        output: str | Path | None = None,
        device: str | int | None = None,
        **options: Any,
    ) -> Snapshot:
        """Play a text, or write it to a file; return when it was heard or written.

        Parameters
        ----------
        text, format, code, voice, strict, **options
            As for `stream`.
        output, device
            As for `tts_cli.speak`.

        Returns
        -------
        Snapshot
            The measurements.

        Raises
        ------
        TTSError
            As `tts_cli.speak` does.

        Examples
        --------
        >>> import tts_cli
        >>> with tts_cli.load("builtin") as tts:
        ...     tts.speak("It rains.", output="rain.wav").failed_segments
        0
        """
        meter = Meter()
        options |= {"format": format, "code": code, "voice": voice, "strict": strict}
        utterance = self.start(text, output=output, device=device, meter=meter, **options)
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
        format: Format = DEFAULT_FORMAT,
        code: Code = DEFAULT_CODE,
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
        text, format, code, voice, strict, output, device, **options
            As for `speak`.
        sink
            Where the sound goes instead of to `output` or `device`. It is closed at the end.
        meter
            Takes the measurements; None for a meter that nobody reads.

        Returns
        -------
        Utterance
            The running utterance: wait for it, pause it, skip in it or cancel it.

        Raises
        ------
        TTSError
            If the request is known to be wrong already. `Utterance.result` raises all other errors.

        Examples
        --------
        >>> import tts_cli
        >>> with tts_cli.load("builtin") as tts:
        ...     running = [tts.start(text, output=f"{text}.wav") for text in ("one", "two")]
        ...     for utterance in running:
        ...         utterance.result()
        """
        chosen, made, reading = self.checked_voice(voice), self.options(options), Reading(format, code)
        known = checked_text(text, reading)
        measuring = meter or Meter()
        instance("output", output, (str, Path, NoneType), "a file name, a Path or None")
        instance("device", device, (str, int, NoneType), "a number, a name or None")
        source = source_of(known, reading)

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
        """The engine's options: the values `given` by name, and the defaults of all others.

        Raises
        ------
        UsageError
            If the engine does not have such an option, or a value is not allowed.
        """
        check_has(self.spec, given)
        for name in given:
            if name not in declared(self.spec.options):
                raise UsageError(f"{name} is a setting of the engine {self.spec.name}", "give it to tts_cli.load")
        return make(self.spec.options, given)

    def close(self) -> None:
        """Cancel the utterances that `speak` and `start` began, wait for them, and close the engine.

        Calling it twice is harmless.
        """
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

    def segments(self, source: TextSource, meter: Meter, **more: Any) -> TextSegments:
        """Make the segments of a text for this engine. `more` are further arguments of `TextSegments`."""
        return TextSegments(source, meter, together=self.spec.together, left_out=foreign_tags(self.spec), **more)

    def checked_voice(self, voice: str | None) -> str:
        """`voice`, or the session's voice for None. Raises `UsageError` if the engine does not have it."""
        if self._closed:
            raise UsageError("this session is closed", "load another with tts_cli.load")
        instance("voice", voice, (str, NoneType), "a name or None")
        if voice is None:
            return self.voice
        voices = self.voices()
        if voice not in voices:
            raise UsageError(f"the {self.spec.name} engine has no voice {voice!r}", f"it has: {', '.join(voices)}")
        return voice
