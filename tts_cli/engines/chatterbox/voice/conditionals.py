"""A voice as the models take it: upstream's conditionals in their `.pt`, and the T3 prefix kept beside it.

The `.pt` is that of `Conditionals.save` in chatterbox-tts 0.1.7 (`tts_turbo.py`): torch's zip of tensors
and plain containers, read with `weights_only`, so that a file that holds anything else executes nothing and
is an error. Every tensor is checked before it reaches a model.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from tts_cli.audio import FRAMES_PER_TOKEN, TOKEN_RATE
from tts_cli.engines.chatterbox.precision.smoothing import POSITIONS, Sample
from tts_cli.engines.chatterbox.precision.tensor_cache import store, stored, write
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.t3.network import SPEAKER_WIDTH, T3Prefix
from tts_cli.engines.chatterbox.weights.config import MEL_BINS, SPEAKER_SIZE, SPEECH_VOCABULARY
from tts_cli.engines.chatterbox.weights.tensors import fingerprint
from tts_cli.errors import ModelError, UsageError
from tts_cli.paths import cannot

__all__ = ["Conditionals", "fingerprint", "load_prefix", "prefix_key", "prefix_of", "save_prefix"]


@dataclass(frozen=True, slots=True)
class Conditionals:
    """All that the models know of a voice. Read-only."""

    speaker: Tensor
    """The voice encoder's embedding for T3, float32 `[1, 256]`."""
    voice_tokens: Tensor
    """Speech tokens of the reference's first 15 s for T3, int64 `[1, up to 375]`."""
    gen: Mapping[str, Tensor | None]
    """Upstream's `Conditionals.gen`, for S3Gen: `prompt_token` int64 `[1, n]`, `prompt_token_len` `[1]`,
    `prompt_feat` float32 `[1, 2n or 2n + 1, 80]`, `prompt_feat_len` None, `embedding` float32 `[1, 192]`."""

    def save(self, file: Path) -> None:
        """Write the `.pt` that upstream's `Conditionals.load` reads. Raises `OSError`."""
        t3 = {
            "speaker_emb": self.speaker,
            "clap_emb": None,
            "cond_prompt_speech_tokens": self.voice_tokens,
            "cond_prompt_speech_emb": None,
            "emotion_adv": 0.5 * torch.ones(1, 1, 1),  # upstream's default; Turbo does not look at it
        }
        with file.open("wb") as stream:  # torch's own writer turns a full disk into a RuntimeError
            torch.save({"t3": t3, "gen": dict(self.gen)}, stream)

    @classmethod
    def load(cls, file: Path) -> Conditionals:
        """Read a `.pt` of ours or of upstream's, onto the CPU.

        Raises `UsageError` where the file cannot be opened, and `ModelError` where it is damaged, holds code, or its
        tensors have other shapes or types.
        """
        try:
            file.open("rb").close()
        except OSError as error:
            raise cannot("read", file, error, "check its name and its rights") from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch remarks on odd pickles before it refuses them
                content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # the unpickler fails in as many ways as there are damaged files
            raise ModelError(
                f"{file} is no voice that can be read: it is damaged, or holds more than tensors",
                "make it again with: tts voice cache FILE --force",
            ) from error
        return cls._checked(file, content)

    def shortened(self, seconds: float) -> Conditionals:
        """The same voice, but S3Gen sees no more than the first `seconds` of its reference, and one token at least."""
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
        raise ModelError(f"{file} holds tensors, but not those of a voice: {name} is missing")
    return part


def _tensor(
    file: Path, part: dict[str, Any], name: str, shape: tuple[int | None, ...], ids_below: int | None = None
) -> Tensor:
    """The tensor of that name: float32 of that shape, or int64 where `ids_below` bounds it.

    Upstream casts `prompt_token` to float32 in place when it speaks (`s3gen.py`), so a voice that it saved afterwards
    holds its ids as floats. In half precision ids above 2048 would be others, so those are refused.
    """
    value = part.get(name)
    if not isinstance(value, Tensor):
        raise ModelError(f"{file}: {name} is missing")
    value = value.detach()  # saved while it was being trained, perhaps
    if value.layout != torch.strided or value.is_meta:
        raise ModelError(f"{file}: {name} is not stored whole, as a dense tensor")
    expected = ["any" if size is None else size for size in shape]
    if value.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, value.shape, strict=True)):
        raise ModelError(f"{file}: {name} has shape {list(value.shape)}, expected {expected}")
    if ids_below is None:
        if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
            raise ModelError(f"{file}: {name} does not hold finite numbers")
        return value.float()
    exact = value.dtype in (torch.float32, torch.float64) and bool((value == value.trunc()).all())
    if (not exact and (value.is_floating_point() or value.is_complex())) or value.numel() == 0:
        raise ModelError(f"{file}: {name} does not hold speech tokens")
    value = value.clamp(-1, ids_below).long()
    if int(value.min()) < 0 or int(value.max()) >= ids_below:
        raise ModelError(f"{file}: {name} holds ids outside 0 to {ids_below - 1}")
    return value


def sample_of(weights: Path) -> Sample | None:
    """The voice that came with the weights in this folder, to calibrate T3 with; None where none can be read."""
    try:
        voice = Conditionals.load(weights / "conds.pt")
    except (ModelError, UsageError):
        return None
    return Sample(voice.speaker, voice.voice_tokens[:, :POSITIONS])


def prefix_key(model: str, voice: Conditionals) -> str:
    """What a T3 prefix depends on: the model and how it computes, and what T3 knows of the voice."""
    digest = hashlib.sha256(model.encode())
    digest.update(voice.speaker.numpy().tobytes())
    digest.update(voice.voice_tokens.numpy().tobytes())
    return digest.hexdigest()


def save_prefix(prefix: T3Prefix, key: str, file: Path) -> None:
    """Write `prefix` (75 MB for Turbo) with the key to know it by. Raises `OSError`."""
    write({"keys": prefix.keys, "values": prefix.values}, key, file)


def load_prefix(file: Path, key: str, t3: T3) -> T3Prefix | None:
    """The prefix in `file`, mapped into memory; None where it is missing, damaged or of another key."""
    tensors = stored(file, key)
    if tensors is None or tensors.keys() != {"keys", "values"}:
        return None
    weight = t3.speech_emb.weight
    keys, values = (tensors[name].to(weight.device, weight.dtype) for name in ("keys", "values"))
    shape = t3.cache_shape(keys.shape[2])
    return T3Prefix(keys, values) if keys.shape == shape == values.shape else None


def prefix_of(voice: Conditionals, file: Path, model: str, t3: T3) -> T3Prefix:
    """The voice's prefix: the one in `file` where it fits, else computed and, if the disk allows, kept there.

    `model` is the fingerprint of T3's weights.
    """
    key = prefix_key(model, voice)
    known = load_prefix(file, key, t3)
    if known is not None:
        return known
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    store({"keys": prefix.keys, "values": prefix.values}, key, file)
    return prefix
