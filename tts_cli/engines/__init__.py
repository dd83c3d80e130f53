"""Engines: what an engine is, how its options are declared, and which engines there are.

Segments of text come in, and chunks of sound come out (`Engine.stream`). Modules outside use the names in `__all__`,
`options`, `registry` and `spec`. Engines of other packages may use `in_order` and `prefetch`, too. Each engine has a
package of its own here (`builtin`, `chatterbox`, `remote`), which only `registry` and the command line name.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

from tts_cli.engines.options import EngineSettings, Mode, Option, SpeakOptions
from tts_cli.engines.spec import EngineSpec, VoiceInfo, VoiceMaker
from tts_cli.segment import Segment

if TYPE_CHECKING:
    from tts_cli.audio import AudioChunk

__all__ = [
    "Engine",
    "EngineSettings",
    "EngineSpec",
    "Mode",
    "Option",
    "Segments",
    "SpeakOptions",
    "VoiceInfo",
    "VoiceMaker",
]


class Segments(Protocol):
    """The segments of one utterance, in order. The thread that runs the engine's generator uses them."""

    @property
    def wanted(self) -> int:
        """The number of the first segment that the listener wants. Sound of earlier ones is dropped.

        It grows when the listener skips, and beyond all numbers when the utterance is cancelled. It may be read in any
        thread; an engine whose step takes long reads it between steps.
        """
        ...

    def take(self, wait: bool = True) -> Segment | None:
        """The next segment, or None at the end of the text.

        Parameters
        ----------
        wait
            Whether to wait for text; if not, None is also returned when no segment is there now. An engine may only
            wait when it has given all sound of the segments before, because a wait tells playback that no more sound
            comes for now.
        """
        ...

    def failed(self, segment: Segment, error: Exception) -> None:
        """Report that `segment` cannot be spoken. Raises an error if that ends the utterance, otherwise returns."""
        ...


class Engine(Protocol):
    """Speaks segments. A loaded engine does not change: the generator of `stream` holds all state of an utterance.

    Attributes
    ----------
    name
        What `--engine` calls it.
    sample_rate
        Samples a second of all its chunks.
    capacity
        How many utterances it can compute at once before each becomes much slower.
    precision
        The number formats that it computes with, in words; empty if there is no choice.
    strategy
        The strategy that it uses by default; empty if it has no strategies.
    paced
        Whether it follows `options.speed` itself. If not, its sound is stretched. An engine without this attribute
        follows it.
    chosen
        What it has chosen of settings and options that were left to it, by their names, and `measured`: whether
        measurements on this machine have decided. An engine without this attribute has nothing to choose.
    if_slow
        What a user can do if sound is computed more slowly than it is heard, as a line; empty if there is nothing. An
        engine without this attribute knows of nothing.
    notice
        What it did not do as it was asked to when it loaded, such as using a GPU, as a line; empty if there is nothing.
        An engine without this attribute did everything.
    settle
        A method that does at once what makes later utterances faster, and that would otherwise be done little by
        little while it speaks. An engine without this attribute has nothing to do.
    """

    name: str
    sample_rate: int
    capacity: int
    precision: str
    strategy: str

    def voices(self) -> list[str]:
        """Names of the voices that the engine can speak with, its default first."""
        ...

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """Speak the segments of one utterance. May be called from several threads at once.

        Parameters
        ----------
        segments
            The text.
        voice
            One of `voices()`.
        options
            An instance of the options class that the engine declares.

        Yields
        ------
        AudioChunk
            In order, each as soon as it is computed. Closing the generator ends everything that it has started.

        Raises
        ------
        TTSError
            For an error that a user can act on.
        """
        ...

    def close(self) -> None:
        """Release what the engine holds. Calling it twice is harmless."""
        ...
