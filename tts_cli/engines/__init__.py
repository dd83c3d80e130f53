"""What an engine is, and the list of those there are.

A new engine is one module with a class that follows `Engine`, and one line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Final, Literal, Protocol, cast, get_args

from tts_cli.audio import AudioChunk
from tts_cli.checks import instance, number, one_of, whole
from tts_cli.errors import MissingError, UsageError
from tts_cli.models import locate, require_packages
from tts_cli.segment import Segment
from tts_cli.voices import OWN_VOICES

MAX_CHARS: Final = 300
"""The longest text an engine is given at once. Chatterbox Turbo degrades above it; the built-in voice's model takes 400
phonemes, which are about as many characters."""

MAX_CHUNK: Final = 1000
"""Speech tokens in the largest chunk: 40 s of sound."""
MAX_SEED: Final = 2**63 - 1
"""The largest seed that every generator here takes."""

Mode = Literal["streaming", "simple"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine needs to know once, when it loads. Raises `UsageError` for a value that is not allowed.

    Names of models, devices and precisions are looked up by those who know them.
    """

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
    precision: str = "auto"
    """How networks store and multiply their weights: see `engines.chatterbox.precision` (Chatterbox only)."""
    threads: int | None = None
    """How many threads compute; None for as many as there are cores (Chatterbox only)."""
    prompt_seconds: float | None = None
    """How much of the reference's 10 s the flow sees before every utterance; None for all (Chatterbox only)."""

    def __post_init__(self) -> None:
        for name in ("voices_dir", "model_dir"):
            instance(name, getattr(self, name), (Path, NoneType), "a Path or None")
        for name in ("model", "device", "precision"):
            instance(name, getattr(self, name), str, "a name")
        instance("watermark", self.watermark, bool, "True or False")
        if self.threads is not None:
            whole("threads", self.threads, 1, 1024)
        if self.prompt_seconds is not None:
            number("prompt_seconds", self.prompt_seconds, 0.04, 10)


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """How one utterance is to be spoken. Every engine takes all of them and uses those it knows.

    Raises `UsageError` for a value that is not allowed.
    """

    chunk: int | None = 10
    """Speech tokens (40 ms each) decoded at a time, the first time perhaps fewer; None: few at first, then as many as
    the sound in hand allows."""
    mode: Mode = "streaming"
    """`simple` computes the whole of the text before the first sample leaves."""
    seed: int = 0
    """Fixes the noise and, for a sampling engine, the tokens; of a segment, `Segment.seed` of it."""
    pause: float = 0.35
    """Seconds of silence behind a sentence, where the engine shapes its own pauses."""
    temperature: float = 0.8
    top_k: int = 1000
    top_p: float = 0.95
    repetition_penalty: float = 1.2
    """How speech tokens are drawn: see `engines.chatterbox.sampling.Sampling`."""
    guard: bool = True
    """End an utterance that goes on for much longer than its text, or stays silent."""
    tokens: int | None = None
    """Speak exactly so many tokens, whatever the model says about the end: for measuring (Chatterbox only)."""
    strategy: str = "auto"
    """The way chunks are decoded: a name in `engines.chatterbox.strategies.STRATEGIES`, or `auto` (Chatterbox only)."""
    strict: bool = False
    """End at the first piece of text that the engine fails on, where otherwise the rest is spoken."""
    parallel: bool = True
    """Draw the next tokens in a thread of its own while a chunk is decoded."""

    def __post_init__(self) -> None:
        if self.chunk is not None:
            whole("chunk", self.chunk, 1, MAX_CHUNK)
        one_of("mode", self.mode, get_args(Mode))
        whole("seed", self.seed, 0, MAX_SEED)
        number("pause", self.pause, 0, 10)
        number("temperature", self.temperature, 0, 10)
        whole("top_k", self.top_k, 0, MAX_SEED)
        number("top_p", self.top_p, 0.01, 1)
        number("repetition_penalty", self.repetition_penalty, 0.1, 10)
        if self.tokens is not None:
            whole("tokens", self.tokens, 1, 1000)
        instance("strategy", self.strategy, str, "a name")
        for name in ("guard", "strict", "parallel"):
            instance(name, getattr(self, name), bool, "True or False")


class Engine(Protocol):
    """Text in, sound out. Read-only once loaded: all state of an utterance lives in `stream`."""

    name: str
    sample_rate: int
    groups_sentences: bool
    """Whether neighbouring sentences are spoken together, up to `MAX_CHARS`."""
    precision: str
    """In which numbers it computes here, in words; empty where there is no choice."""
    strategy: str
    """What `SpeakOptions.strategy` `auto` means here; empty where there is no choice."""

    def voices(self) -> list[str]:
        """Names of the voices that this engine can speak with now, its default first."""
        ...

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        """Speak `segment`, at most `MAX_CHARS` long: chunks, in order, each as soon as it is computed.

        Raises `TTSError` for what a user can mend. Closing a generator ends the computation.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds. Calling it twice is harmless."""
        ...


ENGINES: Final[dict[str, str]] = {
    "chatterbox": "tts_cli.engines.chatterbox.engine:ChatterboxEngine",
    "builtin": "tts_cli.engines.builtin:BuiltinEngine",
}


def choose_voice(engine: Engine, wanted: str | None) -> str:
    """`wanted`, or the engine's default voice for None. Raises `UsageError` for a voice that it does not have."""
    voices = engine.voices()
    if wanted is not None and wanted not in voices:
        raise UsageError(f"the {engine.name} engine has no voice {wanted!r}", f"it has: {', '.join(voices)}")
    return wanted or voices[0]


def choose_engine(name: str, voice: str | None, settings: EngineSettings) -> tuple[str, str]:
    """The engine that `name` means here, and what to tell the user about the choice (often nothing).

    `auto` is Chatterbox where its packages and weights are here, else the built-in voice. Raises `MissingError` where
    `voice` is one that only Chatterbox has, or where a folder was given that does not hold the weights.
    """
    instance("engine", name, str, "a name")
    instance("voice", voice, (str, NoneType), "a name or None")
    if name != "auto":
        return name, ""
    if OWN_VOICES.get(voice or "") == "builtin":
        return "builtin", ""
    try:
        require_packages()
        locate(settings.model, settings.model_dir)
    except MissingError as error:
        if voice is not None or settings.model_dir is not None:
            raise
        return "builtin", f"speaking with the built-in voice; for Chatterbox, {error.remedy}"
    return "chatterbox", ""


def load_engine(name: str, settings: EngineSettings) -> Engine:
    """Import and load the engine called `name`: a name in `ENGINES`, or an import string `module:Class`.

    Raises `UsageError` for an unknown name, `MissingError` where its package or weights are not here.
    """
    if name == "chatterbox":
        require_packages()
    module, _, attribute = ENGINES.get(name, name).partition(":")
    if not (module and attribute):
        raise UsageError(f"there is no engine called {name!r}", f"choose one of: auto, {', '.join(ENGINES)}")
    try:
        factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if name in ENGINES:
            raise
        raise UsageError(f"the engine {name!r} cannot be imported ({error})", "check its module and class") from error
    return cast(Engine, factory(settings))
