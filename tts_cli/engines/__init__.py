"""What an engine is, and the list of those there are.

A new engine is one module with a class that follows `Engine`, and one line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, Protocol, cast

from tts_cli.audio import AudioChunk
from tts_cli.errors import UsageError

Mode = Literal["streaming", "simple"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine needs to know once, when it loads."""

    voices_dir: Path | None = None
    """Where cached voices live; None for the place `voices.default_dir` finds."""
    model: str = "turbo"
    """Which Chatterbox: `turbo` or `nano`."""
    model_dir: Path | None = None
    """A folder that holds the weights; None for the place `models.locate` finds."""
    device: str = "auto"
    """Where networks are computed: `auto`, `cpu`, `cuda` or `mps`."""
    watermark: bool = True
    """Whether the sound carries the mark of synthetic speech (Chatterbox only)."""


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """How one utterance is to be spoken. Every engine takes all of them and uses those it knows."""

    chunk: int = 10
    """Speech tokens (40 ms each) decoded at a time."""
    mode: Mode = "streaming"
    """`simple` computes the whole of the text before the first sample leaves."""
    seed: int = 0
    """Fixes the noise and, for a sampling engine, the tokens."""
    pause: float = 0.35
    """Seconds of silence behind a sentence, where the engine shapes its own pauses."""
    temperature: float = 0.8
    top_k: int = 1000
    top_p: float = 0.95
    repetition_penalty: float = 1.2
    """How speech tokens are drawn: see `engines.chatterbox.sampling.Sampling`."""
    guard: bool = True
    """End an utterance that goes on for much longer than its text, or stays silent."""
    strategy: str = "context"
    """The way chunks are decoded: a name in `engines.chatterbox.strategies.STRATEGIES`."""
    parallel: bool = True
    """Draw the next tokens in a thread of its own while a chunk is decoded."""


class Engine(Protocol):
    """Text in, sound out. Read-only once loaded: all state of an utterance lives in `stream`."""

    name: str
    sample_rate: int
    max_chars: int
    """The longest text, in characters, that `stream` takes at once."""
    groups_sentences: bool
    """Whether neighbouring sentences are spoken together, up to `max_chars`."""

    def voices(self) -> list[str]:
        """Names of the voices that this engine can speak with now, its default first."""
        ...

    def stream(self, text: str, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        """Speak `text` (at most `max_chars` long): chunks, in order, each as soon as it is computed.

        Raises `TTSError` for what a user can mend. Closing the iterator ends the computation.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds. Calling it twice is harmless."""
        ...


ENGINES: Final[dict[str, str]] = {
    "chatterbox": "tts_cli.engines.chatterbox.engine:ChatterboxEngine",
    "builtin": "tts_cli.engines.builtin:BuiltinEngine",
}


def load_engine(name: str, settings: EngineSettings) -> Engine:
    """Import and load the engine called `name`.

    Raises `UsageError` for an unknown name, `MissingError` where its package or weights are not here.
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine called {name!r}", f"choose one of: {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    return cast(Engine, getattr(import_module(module), attribute)(settings))
