"""What the flow keeps of a voice, in a file beside it: mapped in milliseconds where computing takes seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from tts_cli.engines.chatterbox.precision.tensor_cache import store, stored, write
from tts_cli.engines.chatterbox.s3gen.cached import VoicePast
from tts_cli.engines.chatterbox.s3gen.cached_past import NetworkPast
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE
from tts_cli.engines.chatterbox.weights.tensors import fingerprint

FORMAT: Final = 1
"""Counts up when the same weights and voice come to leave something else."""
_KINDS: Final = ("tails", "keys", "values")


def past_of(gen: Mapping[str, Any], file: Path, folder: Path, decoder: S3GenDecoder) -> VoicePast:
    """The past of the voice `gen`: that in `file` where it fits, else computed and, if the disk allows, kept there.

    It begins from the noise of seed 0, whatever the seeds of the utterances: it is the voice's, not theirs. `decoder`
    is that of the weights in `folder`.
    """
    key = _key(gen, folder, decoder)
    known = stored(file, key)
    if known is not None:
        return _unpacked({name: tensor.to(decoder.flow.device) for name, tensor in known.items()})
    past = decoder.past(gen)
    store(_packed(past), key, file)
    return past


def save_past(past: VoicePast, gen: Mapping[str, Any], file: Path, folder: Path, decoder: S3GenDecoder) -> None:
    """Write `past` for `past_of` to find. Raises `OSError`."""
    write(_packed(past), _key(gen, folder, decoder), file)


def _key(gen: Mapping[str, Any], folder: Path, decoder: S3GenDecoder) -> str:
    weights, prompt = fingerprint(folder / S3GEN_FILE), decoder.flow.prompt(gen)
    digest = hashlib.sha256(f"{FORMAT} {weights} {decoder.cached.dtype} {decoder.flow.device.type}".encode())
    for tensor in (prompt.tokens, prompt.mels, prompt.speaker):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _packed(past: VoicePast) -> dict[str, Tensor]:
    tensors = {"speaker": past.speaker}
    for name, trace in {"encoder": past.encoder, **{f"step{i}": step for i, step in enumerate(past.steps)}}.items():
        for kind in _KINDS:
            tensors |= {f"{name}.{kind}.{i}": each for i, each in enumerate(getattr(trace, kind))}
    return tensors


def _unpacked(tensors: Mapping[str, Tensor]) -> VoicePast:
    def trace(name: str) -> NetworkPast:
        found: list[tuple[Tensor, ...]] = []
        for kind in _KINDS:
            count = sum(each.startswith(f"{name}.{kind}.") for each in tensors)
            found.append(tuple(tensors[f"{name}.{kind}.{i}"] for i in range(count)))
        return NetworkPast(*found)

    encoder = trace("encoder")
    steps = tuple(trace(f"step{i}") for i in range(sum(name.endswith(".tails.0") for name in tensors) - 1))
    return VoicePast(encoder, steps, tensors["speaker"], encoder.keys[0].shape[2])
