"""Caches the past of a voice in a file: it is mapped in milliseconds, and computing it takes seconds."""

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
"""The version of what is stored. A change of it makes older files stale."""
_KINDS: Final = ("tails", "keys", "values")


def past_of(gen: Mapping[str, Any], file: Path, folder: Path, decoder: S3GenDecoder) -> VoicePast:
    """The past of a voice: read from `file`, or computed and, if possible, cached there.

    Its mel frames begin as the noise of seed 0, for utterances of any seed.

    Parameters
    ----------
    gen
        The voice: upstream's `Conditionals.gen`.
    file
        The cache file.
    folder
        The folder with the weights. A past of other weights is computed again.
    decoder
        Computes the past, with the weights in `folder`.

    Returns
    -------
    VoicePast
        On the device of `decoder`.
    """
    key = _key(gen, folder, decoder)
    known = stored(file, key)
    if known is not None:
        return _unpacked({name: tensor.to(decoder.flow.device) for name, tensor in known.items()})
    past = decoder.past(gen)
    store(_packed(past), key, file)
    return past


def save_past(past: VoicePast, gen: Mapping[str, Any], file: Path, folder: Path, decoder: S3GenDecoder) -> None:
    """Write the past of a voice so that `past_of` finds it.

    Parameters
    ----------
    past
        What `S3GenDecoder.past` returned.
    gen, file, folder, decoder
        As for `past_of`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write(_packed(past), _key(gen, folder, decoder), file)


def _key(gen: Mapping[str, Any], folder: Path, decoder: S3GenDecoder) -> str:
    weights, prompt = fingerprint(folder / S3GEN_FILE), decoder.flow.prompt(gen)
    how = f"{decoder.cached.dtype} {decoder.flow.device.type} {decoder.flow.decoder.count}"
    digest = hashlib.sha256(f"{FORMAT} {weights} {how}".encode())
    for tensor in (prompt.tokens, prompt.mels, prompt.speaker):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _packed(past: VoicePast) -> dict[str, Tensor]:
    tensors = {"speaker": past.speaker}
    for name, network in {"encoder": past.encoder, **{f"step{i}": step for i, step in enumerate(past.steps)}}.items():
        for kind in _KINDS:
            tensors |= {f"{name}.{kind}.{i}": each for i, each in enumerate(getattr(network, kind))}
    return tensors


def _unpacked(tensors: Mapping[str, Tensor]) -> VoicePast:
    def network(name: str) -> NetworkPast:
        found: list[tuple[Tensor, ...]] = []
        for kind in _KINDS:
            count = sum(each.startswith(f"{name}.{kind}.") for each in tensors)
            found.append(tuple(tensors[f"{name}.{kind}.{i}"] for i in range(count)))
        return NetworkPast(*found)

    encoder = network("encoder")
    steps = tuple(network(f"step{i}") for i in range(sum(name.endswith(".tails.0") for name in tensors) - 1))
    return VoicePast(encoder, steps, tensors["speaker"], encoder.keys[0].shape[2])
