"""What Chatterbox can be told: settings for loading it, options for an utterance. The one list of names and defaults.

Nothing here imports torch: the command line reads these declarations for its `--help`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from tts_cli.engines.chatterbox.weights.locate import MODELS
from tts_cli.engines.options import EngineSettings, Option, SpeakOptions, check

AUTO: Final = "auto"
DEVICES: Final = ("cpu", "cuda", "mps")
PRECISIONS: Final = ("fp32", "bf16", "int8", "int4")
STRATEGIES: Final = ("independent", "overlap", "context", "cached")
"""The ways to decode a chunk; `strategies` holds a class for each."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How speech tokens are drawn: temperature, then top-k, top-p and the repetition penalty.

    The order and the defaults are those of `T3.inference_turbo` in chatterbox-tts 0.1.7.
    """

    temperature: Annotated[
        float, Option("Below 1 sharpens the token distribution, above 1 flattens it; 0 is greedy.", 0, 10)
    ] = 0.8
    top_k: Annotated[int, Option("Draw from so many of the likeliest tokens; 0: all.", 0)] = 1000
    top_p: Annotated[float, Option("Draw from the likeliest tokens that have this share together.", 0.01, 1)] = 0.95
    repetition_penalty: Annotated[float, Option("Above 1: avoid tokens that were drawn before.", 0.1, 10)] = 1.2

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class ChatterboxSettings(EngineSettings):
    """What Chatterbox is told once, when it loads."""

    model: Annotated[str, Option("Which model.", choices=tuple(MODELS))] = "turbo"
    model_dir: Annotated[Path | None, Option("Folder that holds the weights; also TTS_MODEL_DIR.")] = None
    voices_dir: Annotated[Path | None, Option("Folder of cached voices; also TTS_VOICES_DIR.")] = None
    device: Annotated[str, Option("Where to compute.", choices=(AUTO, *DEVICES))] = AUTO
    precision: Annotated[
        str,
        Option("Numbers that networks compute with; auto: the fastest here.", choices=(AUTO, *PRECISIONS)),
    ] = AUTO
    threads: Annotated[int | None, Option("Threads to compute with; else one a core.", 1, 1024)] = None
    prompt_seconds: Annotated[
        float | None, Option("Use less of the voice's 10 s reference: faster, less alike.", 0.04, 10)
    ] = None
    watermark: Annotated[bool, Option("Mark the sound as synthetic (Perth).")] = True


@dataclass(frozen=True, slots=True)
class ChatterboxOptions(SpeakOptions):
    """How Chatterbox speaks one utterance."""

    strategy: Annotated[
        str,
        Option(
            "How chunks are decoded; auto: cached on a CPU, context elsewhere. See docs/lab/experiments.md.",
            choices=(AUTO, *STRATEGIES),
        ),
    ] = AUTO
    parallel: Annotated[bool, Option("Draw tokens while a chunk is decoded.")] = True
    sampling: Sampling = Sampling()
    guard: Annotated[bool, Option("End speech that outgrows its text or stays silent.")] = True
    tokens: Annotated[
        int | None,
        Option("Draw exactly so many speech tokens, whatever the model says about the end.", 1, 1000, measuring=True),
    ] = None

    @classmethod
    def of(cls, options: SpeakOptions) -> ChatterboxOptions:
        """`options` themselves, or what every engine has of them with Chatterbox's own by default."""
        if isinstance(options, cls):
            return options
        return cls(options.chunk, options.mode, options.seed, options.speed, options.pause)
