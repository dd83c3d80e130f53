"""The conditionals of a voice in upstream's file format, and the prefix of T3, which is cached in a file beside it.

A `.pt` file is a zip archive of tensors and plain containers that torch writes. It is read with `weights_only`, so code
in it is never executed: such a file is an error. Every tensor is checked before a network uses it.

References
----------
The format is that of `Conditionals.save` in chatterbox-tts 0.1.7 (tts_turbo.py).
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from tts_cli.audio import TOKEN_RATE
from tts_cli.engines.chatterbox.precision.smoothing import POSITIONS, Sample
from tts_cli.engines.chatterbox.precision.tensor_cache import store, stored, write
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.t3.network import SPEAKER_WIDTH, T3Prefix
from tts_cli.engines.chatterbox.weights.config import FRAMES_PER_TOKEN, MEL_BINS, SPEAKER_SIZE, SPEECH_VOCABULARY
from tts_cli.engines.chatterbox.weights.tensors import fingerprint
from tts_cli.errors import ModelError, UsageError
from tts_cli.paths import cannot

__all__ = ["Conditionals", "fingerprint", "load_prefix", "prefix_key", "prefix_of", "save_prefix"]


LARGEST: Final = 1000
"""The largest number in a tensor of a voice. Log mels lie between -12 and 5, and embeddings are smaller than 100."""


@dataclass(frozen=True, slots=True)
class Conditionals:
    """What the networks know of a voice. It does not change."""

    speaker: Tensor
    """The embedding that the voice encoder computes for T3, float32 `[1, 256]`."""
    voice_tokens: Tensor
    """The tokens of the first 15 s of the reference, for T3, int64 `[1, up to 375]`."""
    gen: Mapping[str, Tensor | None]
    """Upstream's `Conditionals.gen`, for S3Gen: `prompt_token` int64 `[1, n]`, `prompt_token_len` `[1]`,
    `prompt_feat` float32 `[1, 2n or 2n + 1, 80]`, `prompt_feat_len` None, `embedding` float32 `[1, 192]`."""

    def save(self, file: Path) -> None:
        """Write a `.pt` file, which upstream's `Conditionals.load` can read. Raises `OSError`."""
        t3 = {
            "speaker_emb": self.speaker,
            "clap_emb": None,
            "cond_prompt_speech_tokens": self.voice_tokens,
            "cond_prompt_speech_emb": None,
            "emotion_adv": 0.5 * torch.ones(1, 1, 1),  # upstream's default; Turbo does not use it
        }
        with file.open("wb") as stream:  # torch's own writer raises RuntimeError if the disk is full
            torch.save({"t3": t3, "gen": dict(self.gen)}, stream)

    @classmethod
    def load(cls, file: Path) -> Conditionals:
        """Read a `.pt` file that `save` or upstream has written, to the CPU.

        Raises
        ------
        UsageError
            If the file cannot be opened.
        ModelError
            If it is damaged, contains code, or has tensors of other shapes or types.
        """
        try:
            file.open("rb").close()
        except OSError as error:
            raise cannot("read", file, error, "check its name and its rights") from error
        try:
            if zipfile.is_zipfile(file):  # torch does not compare the checksums
                with zipfile.ZipFile(file) as archive:
                    damaged = archive.testzip()
                if damaged is not None:
                    raise ValueError(f"{damaged} has another checksum")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of unusual pickles before it rejects them
                content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can make the unpickler raise anything
            raise ModelError(
                f"{file} cannot be read as a voice: it is damaged, or contains more than tensors",
                "make it again with: tts voice cache FILE --force",
            ) from error
        return cls._checked(file, content)

    def shortened(self, seconds: float) -> Conditionals:
        """The same voice, of whose reference the flow uses the first `seconds` only, but one token at least."""
        tokens = max(1, round(seconds * TOKEN_RATE))
        prompt = cast(Tensor, self.gen["prompt_token"])[:, :tokens]
        mel = cast(Tensor, self.gen["prompt_feat"])[:, : FRAMES_PER_TOKEN * tokens]
        length = torch.tensor([prompt.shape[1]])
        return replace(self, gen={**self.gen, "prompt_token": prompt, "prompt_token_len": length, "prompt_feat": mel})

    @classmethod
    def _checked(cls, file: Path, content: Any) -> Conditionals:
        t3, gen = (_part(file, content, name) for name in ("t3", "gen"))
        prompt = _tensor(file, gen, "prompt_token", (1, None), SPEECH_VOCABULARY)
        mel = _tensor(file, gen, "prompt_feat", (1, None, MEL_BINS))
        if mel.shape[1] < 2 * prompt.shape[1]:
            raise ModelError(f"{file}: {mel.shape[1]} mel frames for {prompt.shape[1]} speech tokens are too few")
        return cls(
            speaker=_tensor(file, t3, "speaker_emb", (1, SPEAKER_WIDTH)),
            voice_tokens=_tensor(file, t3, "cond_prompt_speech_tokens", (1, None), SPEECH_VOCABULARY),
            gen={
                "prompt_token": prompt,
                "prompt_token_len": torch.tensor([prompt.shape[1]]),
                "prompt_feat": mel,
                "prompt_feat_len": None,
                "embedding": _tensor(file, gen, "embedding", (1, SPEAKER_SIZE)),
            },
        )


def _part(file: Path, content: Any, name: str) -> dict[str, Any]:
    part = content.get(name) if isinstance(content, dict) else None
    if not isinstance(part, dict):
        raise ModelError(f"{file} contains tensors, but not those of a voice: {name} is missing")
    return part


def _tensor(
    file: Path, part: dict[str, Any], name: str, shape: tuple[int | None, ...], ids_below: int | None = None
) -> Tensor:
    """The tensor `name` of `part`: float32, or int64 from 0 to `ids_below` - 1 if that is given.

    When upstream speaks, it converts `prompt_token` to float32 in place (s3gen.py), so a voice that it saves afterwards
    has tokens as floats. These are accepted. Half precision is not, because it cannot represent all tokens above 2048.
    """
    value = part.get(name)
    if not isinstance(value, Tensor):
        raise ModelError(f"{file}: {name} is missing")
    value = value.detach()  # it may have been saved with a gradient
    if value.layout != torch.strided or value.is_meta:
        raise ModelError(f"{file}: {name} is not stored as a dense tensor")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ModelError(f"{file}: {name} has more numbers than are stored")  # a few bytes could claim gigabytes
    expected = ["any" if size is None else size for size in shape]
    if value.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, value.shape, strict=True)):
        raise ModelError(f"{file}: {name} has shape {list(value.shape)}, expected {expected}")
    if ids_below is None:
        if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
            raise ModelError(f"{file}: {name} does not hold finite numbers")
        if bool((value.abs() > LARGEST).any()):
            raise ModelError(f"{file}: {name} holds numbers above {LARGEST}, which no voice has")
        return value.float()
    exact = value.dtype in (torch.float32, torch.float64) and bool((value == value.trunc()).all())
    if (not exact and (value.is_floating_point() or value.is_complex())) or value.numel() == 0:
        raise ModelError(f"{file}: {name} does not hold speech tokens")
    value = value.clamp(-1, ids_below).long()
    if int(value.min()) < 0 or int(value.max()) >= ids_below:
        raise ModelError(f"{file}: {name} has ids outside 0 to {ids_below - 1}")
    return value


def sample_of(weights: Path) -> Sample | None:
    """The voice that came with the weights in a folder, for calibrating T3; None if there is none that can be read."""
    try:
        voice = Conditionals.load(weights / "conds.pt")
    except (ModelError, UsageError):
        return None
    return Sample(voice.speaker, voice.voice_tokens[:, :POSITIONS])


def prefix_key(model: str, voice: Conditionals) -> str:
    """A digest of what a prefix depends on: `model`, the fingerprint of T3's weights, and T3's part of the voice."""
    digest = hashlib.sha256(model.encode())
    digest.update(voice.speaker.numpy().tobytes())
    digest.update(voice.voice_tokens.numpy().tobytes())
    return digest.hexdigest()


def save_prefix(prefix: T3Prefix, key: str, file: Path) -> None:
    """Write a prefix, 75 MB for Turbo.

    Parameters
    ----------
    prefix
        The prefix of a voice.
    key
        What it was computed from: the result of `prefix_key`.
    file
        The file to make or to replace.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write(_tensors(prefix), key, file)


def load_prefix(file: Path, key: str, t3: T3) -> T3Prefix | None:
    """Read a prefix, mapped into memory.

    Parameters
    ----------
    file
        What `save_prefix` has written.
    key
        What it must have been computed from.
    t3
        The model that it must fit.

    Returns
    -------
    T3Prefix or None
        None if the file is missing or damaged, or has another key or shape.
    """
    tensors = stored(file, key)
    if tensors is None or tensors.keys() != {"transposed_keys", "values"}:
        return None
    weight = t3.speech_emb.weight
    keys, values = (tensors[name].to(weight.device, weight.dtype) for name in ("transposed_keys", "values"))
    shape = t3.cache_shape(values.shape[2])
    fits = values.shape == shape == keys.transpose(2, 3).shape
    return T3Prefix(keys, values) if fits else None


def prefix_of(voice: Conditionals, file: Path, model: str, t3: T3) -> T3Prefix:
    """The prefix of a voice: read from `file`, or computed and, if possible, cached there.

    Parameters
    ----------
    voice
        The voice.
    file
        The cache file.
    model
        The fingerprint of T3's weights. A prefix of other weights is computed again.
    t3
        Computes the prefix.

    Returns
    -------
    T3Prefix
        On the device of `t3`.
    """
    key = prefix_key(model, voice)
    known = load_prefix(file, key, t3)
    if known is not None:
        return known
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    store(_tensors(prefix), key, file)
    return prefix


def _tensors(prefix: T3Prefix) -> dict[str, Tensor]:
    return {"transposed_keys": prefix.keys, "values": prefix.values}
