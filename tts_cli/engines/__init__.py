"""What an engine is: text in, sound out. `registry` lists those there are; `options` says how they declare theirs."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

from tts_cli.engines.options import EngineSettings, Mode, Option, SpeakOptions
from tts_cli.engines.spec import EngineSpec, VoiceInfo
from tts_cli.segment import Segment

if TYPE_CHECKING:
    from tts_cli.audio import AudioChunk

__all__ = ["Engine", "EngineSettings", "EngineSpec", "Mode", "Option", "Segments", "SpeakOptions", "VoiceInfo"]


class Segments(Protocol):
    """The segments of one utterance, in order. Used by the thread that runs the engine's generator, and by no other."""

    @property
    def wanted(self) -> int:
        """The number of the first segment that the listener still wants; sound of earlier ones is thrown away."""
        ...

    def take(self, wait: bool = True) -> Segment | None:
        """The next segment, or None at the end of the text.

        With `wait` false, None also where no segment is at hand now. Wait only when all the sound of the segments
        taken before has been given: that is how playback learns that there is nothing to play for now.
        """
        ...

    def failed(self, segment: Segment, error: Exception) -> None:
        """Tell that `segment` cannot be spoken. Returns where the rest is to be spoken all the same, else raises."""
        ...


class Engine(Protocol):
    """Speaks. Read-only once loaded: all state of an utterance lives in the generator that `stream` gives.

    Attributes
    ----------
    name
        What `--engine` calls it.
    sample_rate
        Samples a second of all its chunks.
    capacity
        How many utterances it computes at once without each being much slower than alone.
    precision
        In which numbers it computes here, in words; empty where there is no choice.
    strategy
        How it decodes a chunk where that is left to it; empty where there is no choice.
    """

    name: str
    sample_rate: int
    capacity: int
    precision: str
    strategy: str

    def voices(self) -> list[str]:
        """Names of the voices that this engine can speak with now, its default first."""
        ...

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """Speak `segments`: chunks, in order, each as soon as it is computed and with the segment it belongs to.

        Closing the generator ends everything that it started. May be called from several threads at once.

        Raises
        ------
        TTSError
            For what a user can mend.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds. Calling it twice is harmless."""
        ...
