"""Measures how close each precision and strategy is to fp32 decoded whole, for `tts bench --fidelity`.

T3 in fp32 draws the tokens of an utterance. T3 in each other precision reads these tokens, and its probabilities of the
next token are compared with those of fp32; so are its linear maps (`maps`). S3Gen in each precision computes sound from
the tokens, whole and streamed, with the same noise. `verdict` grades the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from tts_cli.audio import TOKEN_RATE, Samples
from tts_cli.distance import Floats, distance, log_mel
from tts_cli.engines.chatterbox.options import FLOW_STEPS, PRECISIONS
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.proof.maps import errors as map_errors
from tts_cli.engines.chatterbox.proof.maps import watch
from tts_cli.engines.chatterbox.proof.pitch import compare as compare_pitch
from tts_cli.engines.chatterbox.proof.verdict import WHOLE, Fidelity, MapError, SoundFidelity, TokenFidelity
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.prompt import TextTokenizer, normalise
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, sample_of
from tts_cli.engines.chatterbox.weights.config import FRAMES_PER_TOKEN, SAMPLES_PER_FRAME
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

POSITIONS: Final = 200
"""How many tokens are drawn."""
CHUNK: Final = 10
"""Tokens in a chunk."""
TEXT: Final = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years."
)
"""It takes longer to speak than `POSITIONS` tokens, so that no model is likely to end before."""
SILENT: Final = 40.0
"""Frames of the reference that are quieter than its loudest by more than this, in dB, are left out of loudness."""


def measure(
    folder: Path,
    voice: Path,
    text: str = TEXT,
    *,
    device: str = "auto",
    strategies: Sequence[str],
    chunk: int = CHUNK,
    seed: int = 0,
    positions: int = POSITIONS,
    flow_steps: int = FLOW_STEPS,
    prompt_seconds: float | None = None,
    progress: Callable[[str], None] = lambda _doing: None,
    sounded: Callable[[str, Samples], None] = lambda _way, _sound: None,
) -> Fidelity:
    """Measure every precision that the device can compute. Only one is loaded at a time.

    Raises what `T3.load`, `S3GenDecoder.load` and `Conditionals.load` raise.

    Parameters
    ----------
    folder
        The folder with the weights.
    voice
        The `.pt` file of the voice.
    text
        The text; it must take longer to speak than `positions` tokens.
    device
        `cpu`, `cuda`, `mps` or `auto`.
    strategies
        The strategies to measure.
    chunk
        Tokens in a chunk.
    seed
        Fixes tokens and noise.
    positions
        How many tokens are drawn.
    flow_steps, prompt_seconds
        What the sounds are computed with, apart from the reference.
    progress
        Called with a few words when a step begins.
    sounded
        Called with each way of decoding, in words, and its sound, float32 `[n]`.

    Returns
    -------
    Fidelity
        All numbers.
    """
    place, known = pick_device(device), Conditionals.load(voice)
    chosen = {name: choose(name, place) for name in computable(place)}
    gen = (known if prompt_seconds is None else known.shortened(prompt_seconds)).gen
    progress("T3 in fp32")
    t3 = T3.load(folder, place)
    prefix, ids = t3.prefix(known.speaker, known.voice_tokens), TextTokenizer(folder).encode(normalise(text))
    tokens = list(t3.tokens(TokenRequest(prefix, ids, seed=seed, exactly=positions)))
    reference = t3.logits(prefix, ids, tokens[:-1])
    watched = watch(t3, prefix, ids, tokens)
    del t3
    token_rows = []
    errors: list[MapError] = []
    for name in chosen:
        if name != "fp32":
            progress(f"T3 in {name}")
            t3 = T3.load(folder, place, name, sample_of(folder))
            token_rows.append(compare_logits(name, t3.logits(prefix, ids, tokens[:-1]), reference))
            errors += map_errors(name, t3, watched)
            del t3
    del watched
    sound_rows: list[SoundFidelity] = []
    whole = other = np.empty(0, np.float32)
    for name in dict.fromkeys(each.s3gen for each in chosen.values()):  # fp32 first: it is the reference
        progress(f"S3Gen in {name}: {WHOLE}")
        decoder = S3GenDecoder.load(folder, device, name)
        if name == "fp32":
            whole, other = (decoder.whole(known.gen, tokens, noise) for noise in (seed, seed + 1))
            sounded("reference: fp32, whole", whole)
            sounded("reference with other noise", other)
        if flow_steps != FLOW_STEPS:
            decoder = S3GenDecoder.load(folder, device, name, flow_steps)
        if name != "fp32" or flow_steps != FLOW_STEPS or prompt_seconds is not None:
            sound = decoder.whole(gen, tokens, seed)
            sounded(f"{name}, {WHOLE}", sound)
            sound_rows.append(compare_sounds(name, WHOLE, sound, whole))
        for strategy in strategies:
            progress(f"S3Gen in {name}: {strategy}")
            sound = np.concatenate(list(_streamed(decoder, gen, tokens, strategy, chunk, seed)))
            sounded(f"{name}, {strategy}", sound)
            sound_rows.append(compare_sounds(name, strategy, sound, whole))
        del decoder
    likely = reference.double().log_softmax(dim=-1)
    return Fidelity(
        entropy=float(-(likely.exp() * likely).sum(dim=-1).mean()),
        other_noise=distance(other, whole, SAMPLE_RATE),
        other_pitch=compare_pitch(other, whole, SAMPLE_RATE),
        tokens=tuple(token_rows),
        sounds=tuple(sound_rows),
        decoders={name: each.s3gen for name, each in chosen.items()},
        maps=tuple(errors),
    )


def computable(device: torch.device) -> list[str]:
    """The precisions that a device can compute, fp32 first."""
    return [name for name in PRECISIONS if _offered(name, device)]


def _offered(name: str, device: torch.device) -> bool:
    try:
        choose(name, device)
    except UsageError:
        return False
    return True


def _streamed(
    decoder: S3GenDecoder, gen: Mapping[str, Any], tokens: Sequence[int], strategy: str, chunk: int, seed: int
) -> Iterator[Samples]:
    stream = decoder.stream(gen, strategy, seed)
    for start in range(0, len(tokens), chunk):
        yield stream.push(tokens[start : start + chunk])
    yield stream.push([], final=True)


def compare_logits(precision: str, found: Tensor, reference: Tensor) -> TokenFidelity:
    """Compare next-token distributions with those of fp32.

    Parameters
    ----------
    precision
        The precision that `found` was computed in.
    found, reference
        Logits `[positions, vocabulary]`.

    Returns
    -------
    TokenFidelity
        KL divergence in nats, and how often the likeliest token is the same.
    """
    right, other = (logits.double().log_softmax(dim=-1) for logits in (reference, found))
    divergence = (right.exp() * (right - other)).sum(dim=-1)
    same = reference.argmax(dim=-1) == found.argmax(dim=-1)
    return TokenFidelity(
        precision,
        float(divergence.mean()),
        float(divergence.quantile(0.95)),
        float(same.double().mean()),
    )


def compare_sounds(precision: str, strategy: str, found: Samples, reference: Samples) -> SoundFidelity:
    """Compare a sound with the reference.

    Parameters
    ----------
    precision, strategy
        What `found` was computed with.
    found, reference
        Sounds, float32 `[n]` at 24 kHz.

    Returns
    -------
    SoundFidelity
        Distance, SNR, drifts and pitch.
    """
    return SoundFidelity(
        precision,
        strategy,
        distance(found, reference, SAMPLE_RATE),
        _snr(found, reference),
        _loudness_drift(found, reference),
        _timbre_drift(found, reference),
        *compare_pitch(found, reference, SAMPLE_RATE),
    )


def _snr(found: Samples, reference: Samples) -> float:
    signal, noise = (float((each.astype(np.float64) ** 2).sum()) for each in (reference, found - reference))
    return 10 * math.log10(max(signal, 1e-20) / max(noise, 1e-20))


def _loudness_drift(found: Samples, reference: Samples) -> float:
    """The slope of the difference in level, in dB per 10 s: least squares over all frames that are not silent."""
    levels, right = (_levels(sound) for sound in (found, reference))
    loud = right > right.max() - SILENT
    seconds = np.arange(len(right))[loud] / (TOKEN_RATE * FRAMES_PER_TOKEN)
    from_middle = seconds - seconds.mean()
    return float(10 * (from_middle @ (levels - right)[loud]) / max(float(from_middle @ from_middle), 1e-9))


def _levels(sound: Samples) -> Floats:
    """The level of each frame of 20 ms in dB, at least -100 dB of full scale."""
    frames = sound[: len(sound) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME)
    levels: Floats = 10 * np.log10((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-10)
    return levels


def _timbre_drift(found: Samples, reference: Samples) -> float:
    apart = log_mel(found, SAMPLE_RATE) - log_mel(reference, SAMPLE_RATE)
    quarter = max(1, len(apart) // 4)
    drift = apart[-quarter:].mean(axis=0) - apart[:quarter].mean(axis=0)
    return float(np.sqrt(np.mean((drift - drift.mean()) ** 2)))
