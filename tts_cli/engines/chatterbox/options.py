"""Declares Chatterbox's settings and options, with their defaults.

The command line makes its `--help` from these declarations, so this module must not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from tts_cli.engines.chatterbox.weights.models import DEFAULT, MODELS
from tts_cli.engines.options import EngineSettings, Option, SpeakOptions, check, make, values

AUTO: Final = "auto"
DEVICES: Final = ("cpu", "cuda", "mps")
PRECISIONS: Final = ("fp32", "bf16", "int8", "int4")
"""By their distance to fp32."""
STRATEGIES: Final = ("context", "cached", "overlap", "independent")
"""By their distance to sound decoded whole, the closest first; docs/lab/performance.md has the values.
`s3gen.strategies` has a class for each."""
FLOW_STEPS: Final = 2
"""How many flow steps Turbo is distilled to."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How speech tokens are drawn: temperature, then top-k, top-p and the repetition penalty.

    The order and the defaults are those of `T3.inference_turbo` in chatterbox-tts 0.1.7.

    Parameters
    ----------
    temperature
        The logits are divided by it; 0 always draws the likeliest token.
    top_k
        How many of the likeliest tokens can be drawn; 0 for all.
    top_p
        The likeliest tokens that have this probability together can be drawn.
    repetition_penalty
        Logits of tokens that were drawn before are divided by it if they are positive, and multiplied by it if they are
        negative.

    Raises
    ------
    UsageError
        If a value is not allowed.

    Examples
    --------
    >>> Sampling(temperature=0).top_k
    1000
    """

    temperature: Annotated[
        float, Option("Below 1 sharpens the token distribution, above 1 flattens it; 0 is greedy.", 0, 10)
    ] = 0.8
    top_k: Annotated[int, Option("How many of the likeliest tokens can be drawn; 0: all.", 0)] = 1000
    top_p: Annotated[float, Option("Draw from the likeliest tokens that have this probability together.", 0.01, 1)] = (
        0.95
    )
    repetition_penalty: Annotated[float, Option("Above 1: avoid tokens that were drawn before.", 0.1, 10)] = 1.2

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class ChatterboxSettings(EngineSettings):
    """Chatterbox's settings, for loading it.

    Parameters
    ----------
    model
        `turbo` or `nano`.
    model_dir
        The folder with the weights; None to look for it as `weights.locate` describes.
    voices_dir
        The folder with the voices; None for the default one.
    device
        `cpu`, `cuda` or `mps`; `auto` for what `tts tune` has chosen, otherwise a GPU that works.
    precision
        The numbers that the networks compute with; `auto` for what `tts tune` has chosen, otherwise the fastest on the
        device.
    threads
        How many threads compute; None for what `tts tune` has chosen, otherwise one for each core.
    prompt_seconds
        How much of the voice's recording the flow uses, in seconds; None for all, up to 10 s.
    flow_steps
        How many steps the flow takes to compute mel frames.
    watermark
        Whether the sound gets Perth's watermark.

    Raises
    ------
    UsageError
        If a value is not allowed.
    """

    model: Annotated[str, Option("Which model.", choices=tuple(MODELS))] = DEFAULT
    model_dir: Annotated[
        Path | None, Option("Folder that holds the weights; also TTS_MODEL_DIR.", variable="TTS_MODEL_DIR")
    ] = None
    voices_dir: Annotated[
        Path | None, Option("Folder of cached voices; also TTS_VOICES_DIR.", variable="TTS_VOICES_DIR")
    ] = None
    device: Annotated[
        str,
        Option(
            "Where to compute; auto: as tts tune has chosen, otherwise a GPU if there is one.", choices=(AUTO, *DEVICES)
        ),
    ] = AUTO
    precision: Annotated[
        str,
        Option(
            "Numbers that networks compute with; auto: what tts tune has chosen, otherwise the fastest here.",
            choices=(AUTO, *PRECISIONS),
        ),
    ] = AUTO
    threads: Annotated[
        int | None,
        Option("Threads to compute with; default: as tts tune has chosen, otherwise one for each core.", 1, 1024),
    ] = None
    prompt_seconds: Annotated[
        float | None,
        Option(
            "Seconds of the voice's recording that the flow uses, at most 10: fewer are faster and less alike.",
            0.04,
            10,
        ),
    ] = None
    flow_steps: Annotated[
        int, Option("Steps of the flow, 2 as it was trained; 1 is faster, and not what it was trained for.", 1, 2)
    ] = FLOW_STEPS
    watermark: Annotated[bool, Option("Mark the sound as synthetic (Perth).")] = True


@dataclass(frozen=True, slots=True)
class ChatterboxOptions(SpeakOptions):
    """How Chatterbox speaks one utterance. `SpeakOptions` describes the options that are not listed here.

    Parameters
    ----------
    strategy
        One of `STRATEGIES`, or `auto`: what `tts tune` has chosen, otherwise `context` with CUDA and `cached`
        elsewhere.
    parallel
        Whether T3, the flow and the vocoder compute at the same time.
    parallel_segments
        For how many segments of the text tokens are drawn at once. On a CPU in fp32 or int8, with `parallel`; otherwise
        it is one.
    sampling
        How tokens are drawn.
    guard
        Whether to end speech that becomes much longer than its text takes, or that stays silent.
    tokens
        Draw exactly this many tokens, for measuring; None to let the model decide.

    Raises
    ------
    UsageError
        If a value is not allowed.

    Examples
    --------
    >>> ChatterboxOptions(chunk=25, sampling=Sampling(temperature=0)).strategy
    'auto'
    """

    strategy: Annotated[
        str,
        Option(
            "How chunks are decoded and joined; auto: what tts tune has chosen, otherwise context with CUDA and cached "
            "elsewhere. See docs/lab/experiments.md.",
            choices=(AUTO, *STRATEGIES),
        ),
    ] = AUTO
    parallel: Annotated[bool, Option("Draw tokens while a chunk is decoded.")] = True
    parallel_segments: Annotated[
        int, Option("Draw the tokens of this many segments at once; 1: only of the one that is heard.", 1, 8)
    ] = 4
    sampling: Sampling = Sampling()
    guard: Annotated[bool, Option("End speech that becomes much longer than its text takes, or that stays silent.")] = (
        True
    )
    tokens: Annotated[
        int | None,
        Option("Draw exactly this many speech tokens, and ignore where the model would end.", 1, 1000, measuring=True),
    ] = None

    @classmethod
    def of(cls, options: SpeakOptions) -> ChatterboxOptions:
        """Return `options` if it has this class; otherwise the same common options, with defaults for the others."""
        if isinstance(options, cls):
            return options
        return make(cls, values(options))
