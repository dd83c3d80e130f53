"""How near each precision and strategy stays to fp32 decoded whole: for `tts bench --fidelity`.

The fp32 T3 draws the utterance's tokens. Every precision of T3 is given them and tells how likely it finds each next
one, and how far each of its linear maps is from fp32's (`maps`); every precision of S3Gen makes sound of them, whole
and streamed, from the same noise. What the numbers are worth is told in `verdict`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from tts_cli.audio import FRAMES_PER_TOKEN, SAMPLE_RATE, SAMPLES_PER_FRAME, TOKEN_RATE, Samples
from tts_cli.distance import Floats, distance, log_mel
from tts_cli.engines.chatterbox.options import PRECISIONS
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.proof.maps import errors as map_errors
from tts_cli.engines.chatterbox.proof.maps import watch
from tts_cli.engines.chatterbox.proof.verdict import WHOLE, Fidelity, MapError, SoundFidelity, TokenFidelity
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.prompt import TextTokenizer, normalise
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, sample_of
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

POSITIONS: Final = 200
TEXT: Final = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years."
)
"""Takes longer to say than `POSITIONS` tokens last, so that no model wants to end before."""
SILENT: Final = 40.0
"""dB below the loudest frame of the reference: quieter frames say nothing about loudness."""


def measure(
    folder: Path,
    voice: Path,
    text: str = TEXT,
    *,
    device: str = "auto",
    strategies: Sequence[str],
    chunk: int = 10,
    seed: int = 0,
    positions: int = POSITIONS,
    progress: Callable[[str], None] = lambda _doing: None,
) -> Fidelity:
    """Measure every precision that this machine computes, one loaded at a time, with every one of `strategies`.

    Raises as the loaders of `T3`, `S3GenDecoder` and `Conditionals` do.
    """
    place, known = pick_device(device), Conditionals.load(voice)
    chosen = {name: choose(name, place) for name in computable(place)}
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
        else:
            sound_rows.append(compare_sounds(name, WHOLE, decoder.whole(known.gen, tokens, seed), whole))
        for strategy in strategies:
            progress(f"S3Gen in {name}: {strategy}")
            sound = np.concatenate(list(_streamed(decoder, known.gen, tokens, strategy, chunk, seed)))
            sound_rows.append(compare_sounds(name, strategy, sound, whole))
        del decoder
    likely = reference.double().log_softmax(dim=-1)
    return Fidelity(
        entropy=float(-(likely.exp() * likely).sum(dim=-1).mean()),
        other_noise=distance(other, whole, SAMPLE_RATE),
        tokens=tuple(token_rows),
        sounds=tuple(sound_rows),
        decoders={name: each.s3gen for name, each in chosen.items()},
        maps=tuple(errors),
    )


def computable(device: torch.device) -> list[str]:
    """The precisions that there are on a device, fp32 first."""
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
    """Compare logits `[positions, vocabulary]`."""
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
    """Compare sounds of the same length."""
    return SoundFidelity(
        precision,
        strategy,
        distance(found, reference, SAMPLE_RATE),
        _snr(found, reference),
        _loudness_drift(found, reference),
        _timbre_drift(found, reference),
    )


def _snr(found: Samples, reference: Samples) -> float:
    signal, noise = (float((each.astype(np.float64) ** 2).sum()) for each in (reference, found - reference))
    return 10 * math.log10(max(signal, 1e-20) / max(noise, 1e-20))


def _loudness_drift(found: Samples, reference: Samples) -> float:
    """dB per 10 s: least squares through the differences in level of the frames that are not silent."""
    levels, right = (_levels(sound) for sound in (found, reference))
    loud = right > right.max() - SILENT
    seconds = np.arange(len(right))[loud] / (TOKEN_RATE * FRAMES_PER_TOKEN)
    from_middle = seconds - seconds.mean()
    return float(10 * (from_middle @ (levels - right)[loud]) / max(float(from_middle @ from_middle), 1e-9))


def _levels(sound: Samples) -> Floats:
    """dB of each frame of 20 ms; nothing is quieter than 100 dB below full scale."""
    frames = sound[: len(sound) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME)
    levels: Floats = 10 * np.log10((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-10)
    return levels


def _timbre_drift(found: Samples, reference: Samples) -> float:
    apart = log_mel(found, SAMPLE_RATE) - log_mel(reference, SAMPLE_RATE)
    quarter = max(1, len(apart) // 4)
    drift = apart[-quarter:].mean(axis=0) - apart[:quarter].mean(axis=0)
    return float(np.sqrt(np.mean((drift - drift.mean()) ** 2)))
