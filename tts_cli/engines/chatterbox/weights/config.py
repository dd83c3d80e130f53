"""The sizes and the vocabularies of a Chatterbox model.

The sizes are Turbo's, unless `config.json` in the folder with the weights gives others. It contains up to four objects.
Their keys are the arguments of upstream's constructors (chatterbox-tts 0.1.7):

- `t3`: `GPT2Config` of transformers.
- `encoder`: `UpsampleConformerEncoder`, and `num_up_blocks`, which is always 4 upstream.
- `estimator`: `ConditionalDecoder`.
- `vocoder`: `HiFTGenerator`, and `f0_cond_channels`, which is `cond_channels` of `ConvRNNF0Predictor`.

Keys that do not matter at inference, such as dropout rates, are ignored. An architecture other than Turbo's is an
error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.errors import ModelError

MEL_BINS: Final = 80
"""Bands of a mel frame."""
FRAMES_PER_TOKEN: Final = 2
"""Mel frames of each speech token: the encoder of the flow doubles the rate."""
SAMPLES_PER_FRAME: Final = 480
"""The hop of the mel frames: 20 ms."""
SAMPLES_PER_TOKEN: Final = SAMPLES_PER_FRAME * FRAMES_PER_TOKEN
SPEAKER_SIZE: Final = 192
"""The width of the speaker embedding for the flow, which CAMPPlus computes."""
SPEECH_VOCABULARY: Final = 6561
"""Speech tokens are numbers below this one: 3⁸ codes of the S3 tokenizer v2."""
START: Final = SPEECH_VOCABULARY
"""The id before the first speech token in T3's input."""
STOP: Final = SPEECH_VOCABULARY + 1
"""The id with which T3 ends an utterance."""
SPEECH_IDS: Final = STOP + 1
"""T3 knows ids below this one: speech tokens, start and stop."""
TEXT_VOCABULARY: Final = 50_276
"""Text tokens are numbers below this one."""

S3GEN_FILE: Final = "s3gen_meanflow.safetensors"
CONFIG_FILE: Final = "config.json"


@dataclass(frozen=True, slots=True)
class T3Config:
    """The sizes of T3, which is a GPT-2: medium in Turbo, small in Nano."""

    n_layer: int = 24
    n_embd: int = 1024
    n_head: int = 16
    n_positions: int = 8196
    layer_norm_epsilon: float = 1e-5


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The sizes of the flow's encoder."""

    input_size: int = 512
    output_size: int = 512
    attention_heads: int = 8
    linear_units: int = 2048
    num_blocks: int = 6
    num_up_blocks: int = 4
    key_bias: bool = True


@dataclass(frozen=True, slots=True)
class EstimatorConfig:
    """The sizes of the flow's estimator."""

    in_channels: int = 320
    out_channels: int = MEL_BINS
    channels: tuple[int, ...] = (256,)
    attention_head_dim: int = 64
    n_blocks: int = 4
    num_mid_blocks: int = 12
    num_heads: int = 8
    act_fn: str = "gelu"


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    """The sizes of the vocoder, HiFT, and the levels of its source."""

    in_channels: int = MEL_BINS
    base_channels: int = 512
    nb_harmonics: int = 8
    sampling_rate: int = SAMPLE_RATE
    nsf_alpha: float = 0.1
    nsf_sigma: float = 0.003
    nsf_voiced_threshold: float = 10.0
    upsample_rates: tuple[int, ...] = (8, 5, 3)
    upsample_kernel_sizes: tuple[int, ...] = (16, 11, 7)
    istft_params: Mapping[str, int] = field(default_factory=lambda: {"n_fft": 16, "hop_len": 4})
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    source_resblock_kernel_sizes: tuple[int, ...] = (7, 7, 11)
    source_resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    lrelu_slope: float = 0.1
    audio_limit: float = 0.99
    f0_cond_channels: int = 512

    @property
    def n_fft(self) -> int:
        """Samples in a window of the STFT."""
        return self.istft_params["n_fft"]

    @property
    def hop(self) -> int:
        """Samples from a window of the STFT to the next."""
        return self.istft_params["hop_len"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """All sizes of a model, and the name of its T3 file."""

    t3: T3Config = T3Config()
    encoder: EncoderConfig = EncoderConfig()
    estimator: EstimatorConfig = EstimatorConfig()
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    t3_file: str = "t3_turbo_v1.safetensors"


T3_FILES: Final[Mapping[str, T3Config]] = {
    "t3_turbo_v1.safetensors": T3Config(),
    "t3_nano_v1.safetensors": T3Config(n_layer=12, n_embd=768, n_head=12),
}

# The architecture of the modules in this package. Other values would need other code.
_FIXED: Final[Mapping[str, Mapping[str, Any]]] = {
    "t3": {"activation_function": "gelu_new", "n_inner": None, "scale_attn_by_inverse_layer_idx": False},
    "encoder": {
        "input_layer": "linear",
        "pos_enc_layer_type": "rel_pos_espnet",
        "normalize_before": True,
        "macaron_style": False,
        "selfattention_layer_type": "rel_selfattn",
        "activation_type": "swish",
        "use_cnn_module": False,
        "static_chunk_size": 0,
        "use_dynamic_chunk": False,
    },
    "estimator": {"causal": True, "meanflow": True},
    "vocoder": {},
}

_Section = TypeVar("_Section", T3Config, EncoderConfig, EstimatorConfig, VocoderConfig)


def read_config(folder: Path) -> ModelConfig:
    """Read the sizes of the model in `folder`.

    Raises
    ------
    ModelError
        If `config.json` cannot be read, has a value of a wrong type, or asks for another architecture.

    Examples
    --------
    >>> read_config(Path("a folder without config.json")).t3.n_layer
    24
    """
    path = folder / CONFIG_FILE
    t3_file = next((name for name in T3_FILES if (folder / name).exists()), next(iter(T3_FILES)))
    try:
        raw = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise ModelError(f"{path} holds no JSON object")
    config = ModelConfig(
        t3=_section(path, raw, "t3", T3_FILES[t3_file]),
        encoder=_section(path, raw, "encoder", EncoderConfig()),
        estimator=_section(path, raw, "estimator", EstimatorConfig()),
        vocoder=_section(path, raw, "vocoder", VocoderConfig()),
        t3_file=t3_file,
    )
    _check(path, config)
    return config


def _section(path: Path, raw: Mapping[str, Any], name: str, default: _Section) -> _Section:
    """`default`, with the values that the object `name` of the file gives."""
    values = raw.get(name, {})
    if not isinstance(values, dict):
        raise ModelError(f"{path}: {name} is not an object")
    for key, expected in _FIXED[name].items():
        if key in values and values[key] != expected:
            raise ModelError(f"{path}: {name}.{key} is {values[key]!r}, only {expected!r} is supported")
    given = {}
    for each in fields(default):
        if each.name in values:
            given[each.name] = _like(path, f"{name}.{each.name}", values[each.name], getattr(default, each.name))
    return type(default)(**{each.name: getattr(default, each.name) for each in fields(default)} | given)


def _like(path: Path, key: str, value: Any, default: Any) -> Any:
    """`value` in the type of `default`: lists become tuples, and integers become floats where `default` is one."""
    if isinstance(default, tuple) and isinstance(value, list) and value:
        return tuple(_like(path, key, item, default[0]) for item in value)
    if isinstance(default, dict) and isinstance(value, dict) and value.keys() >= default.keys():
        return {name: _like(path, f"{key}.{name}", value[name], default[name]) for name in default}
    if isinstance(default, float) and type(value) in (int, float):
        return float(value)
    if isinstance(default, int | str) and type(value) is type(default):
        if type(value) is int and value < 0:
            raise ModelError(f"{path}: {key} is {value}, a size cannot be negative")
        return value
    raise ModelError(f"{path}: {key} is {value!r}, expected something like {json.dumps(default)}")


def _check(path: Path, config: ModelConfig) -> None:
    """Raise `ModelError` if sizes do not fit together."""
    vocoder, estimator, encoder = config.vocoder, config.estimator, config.encoder
    upsampling = vocoder.hop
    for rate in vocoder.upsample_rates:
        upsampling *= rate
    rules = {
        "t3.n_embd must be a multiple of t3.n_head": config.t3.n_embd % max(config.t3.n_head, 1) == 0,
        "encoder.output_size must be a multiple of encoder.attention_heads": (
            encoder.output_size % max(encoder.attention_heads, 1) == 0
        ),
        "estimator.channels must hold one width": len(estimator.channels) == 1,
        f"estimator.in_channels must be {4 * MEL_BINS}": estimator.in_channels == 4 * MEL_BINS,
        f"estimator.out_channels must be {MEL_BINS}": estimator.out_channels == MEL_BINS,
        f"vocoder.in_channels must be {MEL_BINS}": vocoder.in_channels == MEL_BINS,
        f"vocoder.sampling_rate must be {SAMPLE_RATE}": vocoder.sampling_rate == SAMPLE_RATE,
        f"vocoder.upsample_rates and istft_params.hop_len must multiply to {SAMPLES_PER_FRAME}": (
            upsampling == SAMPLES_PER_FRAME
        ),
        "vocoder.upsample_rates and upsample_kernel_sizes must be equally many": (
            len(vocoder.upsample_rates) == len(vocoder.upsample_kernel_sizes)
        ),
        "vocoder.resblock_kernel_sizes and resblock_dilation_sizes must be equally many": (
            len(vocoder.resblock_kernel_sizes) == len(vocoder.resblock_dilation_sizes)
        ),
        "vocoder.source_resblock_* must have an entry for each of upsample_rates": (
            len(vocoder.upsample_rates)
            == len(vocoder.source_resblock_kernel_sizes)
            == len(vocoder.source_resblock_dilation_sizes)
        ),
    }
    for rule, holds in rules.items():
        if not holds:
            raise ModelError(f"{path}: {rule}")
