"""A recording becomes a voice: read it, refuse what cannot be cloned, and compute what the models need of it.

The numbers are those of `ChatterboxTurboTTS.prepare_conditionals` (chatterbox-tts 0.1.7, `tts_turbo.py`),
computed by upstream's own speech tokenizer, speaker encoder and voice encoder. Only this module imports
upstream, which takes seconds, and loads those three, which speaking does not need. One difference is meant:
upstream lets the voice encoder run over the whole recording, we stop at the 15 s that T3's voice tokens
cover too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch

from tts_cli.audio import AUDIBLE, SAMPLE_RATE, Samples, as_samples
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, fingerprint, prefix_key, save_prefix
from tts_cli.engines.chatterbox.voice.past import save_past
from tts_cli.engines.chatterbox.voice.recording import load
from tts_cli.engines.chatterbox.voice.store import ENGINE, VoiceStore
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, read_config
from tts_cli.engines.chatterbox.weights.locate import INSTALL
from tts_cli.engines.chatterbox.weights.tensors import read_tensors
from tts_cli.engines.spec import VoiceInfo
from tts_cli.errors import MissingError, UsageError
from tts_cli.paths import explained

VE_FILE: Final = "ve.safetensors"
LOW_RATE: Final = 16_000
"""Samples a second that the tokenizer and both encoders take."""
SHORTEST: Final = 5.0
"""Seconds that a recording must be longer than."""
T3_SECONDS: Final = 15
S3GEN_SECONDS: Final = 10
VOICE_TOKENS: Final = 375
"""Speech tokens of the voice in T3's input, at most: 15 s."""
LONGEST: Final = 300
"""Seconds that are read; only the loudness is measured on more than the first 15."""
LOUDNESS: Final = -27.0
"""LUFS to which upstream brings a recording."""
CLIPPED: Final = 0.005
"""Part of the samples, stuck at full scale, from which a recording counts as clipped."""

Progress = Callable[[str], None]
_Module = TypeVar("_Module", bound=torch.nn.Module)


def cache_voice(
    file: Path,
    name: str,
    folder: Path,
    store: VoiceStore,
    *,
    force: bool = False,
    progress: Progress = lambda _: None,
) -> VoiceInfo:
    """Clone the voice in `file` with the weights in `folder`, and keep it in `store` under `name`.

    `progress` is told each step as it begins. Raises `UsageError` for a name or recording that cannot be
    used, `MissingError` and `ModelError` for weights that are not there or damaged, `OutputError` where
    `store` cannot be written. Nothing is written unless all of it is.
    """
    store.check_free(name, force)
    progress("reading the recording")
    sound, duration = read_recording(file)
    voice = prepare(sound, folder, progress)
    progress("loading T3")
    t3 = T3.load(folder)
    progress("reading the voice into T3")
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    del t3
    progress("reading the voice into the flow")
    decoder = S3GenDecoder.load(folder, precision="auto")
    past = decoder.past(voice.gen)
    model = fingerprint(folder / read_config(folder).t3_file)
    info = VoiceInfo(
        name,
        ENGINE,
        path=store.directory / f"{name}.pt",
        source=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        duration=round(duration, 3),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        model=model,
    )
    progress("saving")
    with store.reserve(name, force) as draft:
        voice.save(draft.pt)
        save_prefix(prefix, prefix_key(model, voice), draft.prefix)
        save_past(past, voice.gen, draft.flow, folder, decoder)
        draft.describe(info)
    return info


def read_recording(file: Path) -> tuple[Samples, float]:
    """The recording at 24 kHz, mono, at its own loudness, and its duration in seconds.

    At most `LONGEST` seconds are read. Raises `UsageError` where the file cannot be read as sound, or where
    its sound is too short, silent, clipped or no finite numbers.
    """
    with explained("read", file, "check its name and its rights"):
        is_there = file.is_file()
    if not is_there:
        raise UsageError(f"there is no file {file}")
    found = load(file, LONGEST)
    _refuse_unusable(file, found.frames, len(found.frames) / found.rate)
    return resample(found.frames.mean(axis=1), found.rate, SAMPLE_RATE), found.duration


def resample(sound: Samples, rate: int, to: int) -> Samples:
    """`sound` at another rate, its length rounded up: as `librosa.resample` (0.11) makes it."""
    import soxr

    if rate == to:
        return sound
    resampled = as_samples(soxr.resample(sound, rate, to, quality="HQ"))
    length = math.ceil(len(sound) * to / rate)
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))


def _refuse_unusable(file: Path, frames: Samples, seconds: float) -> None:
    """Raise `UsageError` for a recording `[frames, channels]` from which no voice can be cloned."""
    if not np.isfinite(frames).all():
        raise UsageError(f"{file} holds samples that are no numbers", "export it again from where it was recorded")
    if seconds <= SHORTEST:
        raise UsageError(
            f"{file} is too short: {seconds:.1f} s of sound", f"use more than {SHORTEST:.0f} s, best 10 to 15"
        )
    heard = frames[: round(T3_SECONDS * len(frames) / seconds)]
    if not len(heard) or np.abs(heard).max() < AUDIBLE:
        raise UsageError(f"{file} is silent in its first {T3_SECONDS} s", "cut the silence in front")
    stuck = (np.abs(heard[1:]) >= 0.98) & (heard[1:] == heard[:-1])
    if stuck.mean() > CLIPPED:
        raise UsageError(
            f"{file} is clipped: {stuck.mean():.0%} of its samples stick at full scale",
            "record it again at a lower level",
        )


def prepare(sound: Samples, folder: Path, progress: Progress = lambda _: None) -> Conditionals:
    """The conditionals of a recording: mono at 24 kHz, longer than 5 s.

    Raises `MissingError` where chatterbox-tts or the weights are missing, `ModelError` where they are
    damaged.
    """
    progress("loading the speech tokenizer, speaker encoder and voice encoder")
    with _quiet():
        encoders = _ReferenceEncoders(folder)
    progress("computing the voice")
    sound = at_upstream_loudness(sound)
    low = resample(sound, SAMPLE_RATE, LOW_RATE)[: T3_SECONDS * LOW_RATE]
    with _quiet(), torch.inference_mode():
        tokens, _ = encoders.tokenizer([low], max_len=VOICE_TOKENS)
        embeddings = encoders.voice_encoder.embeds_from_wavs([low], sample_rate=LOW_RATE)
        speaker = torch.from_numpy(embeddings).mean(dim=0, keepdim=True)
        gen = encoders.reference(torch.from_numpy(sound[: S3GEN_SECONDS * SAMPLE_RATE])[None])
    return Conditionals(speaker.clone(), tokens.clone(), gen)


def at_upstream_loudness(sound: Samples) -> Samples:
    """`sound` (24 kHz) at -27 LUFS (ITU-R BS.1770), or as it is where that has no meaning."""
    import pyloudnorm

    loudness = float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(sound))
    gain = 10 ** ((LOUDNESS - loudness) / 20) if math.isfinite(loudness) else 1.0
    return as_samples(sound * gain)


class _ReferenceEncoders:
    """Upstream's three reference encoders, with the weights in a folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from chatterbox.models.s3gen.utils.mel import mel_spectrogram
            from chatterbox.models.s3gen.xvector import CAMPPlus
            from chatterbox.models.s3tokenizer import S3Tokenizer
            from chatterbox.models.voice_encoder import VoiceEncoder
            from torchaudio.transforms import Resample
        except ImportError as error:
            raise MissingError(f"cloning a voice needs chatterbox-tts: {error}", f"run: {INSTALL}") from error
        s3gen = folder / S3GEN_FILE
        self.tokenizer = _filled(S3Tokenizer("speech_tokenizer_v2_25hz"), s3gen, "tokenizer.")
        self._speaker = _filled(CAMPPlus(memory_efficient=False), s3gen, "speaker_encoder.")
        self.voice_encoder: Any = _filled(VoiceEncoder(), folder / VE_FILE, "")
        self._mel = mel_spectrogram
        self._resample = Resample(SAMPLE_RATE, LOW_RATE)

    def reference(self, sound: torch.Tensor) -> dict[str, torch.Tensor | None]:
        """What S3Gen knows of the voice, of `[1, samples]` at 24 kHz: upstream's `S3Gen.embed_ref`."""
        mel = self._mel(sound).transpose(1, 2)
        low = self._resample(sound)
        tokens = self.tokenizer(low)[0][:, : mel.shape[1] // 2]
        return {
            "prompt_token": tokens.clone(),
            "prompt_token_len": torch.tensor([tokens.shape[1]]),
            "prompt_feat": mel.clone(),
            "prompt_feat_len": None,
            "embedding": self._speaker.inference(low).clone(),
        }


def _filled(module: _Module, file: Path, prefix: str) -> _Module:
    """`module` with the tensors of `file` whose names begin with `prefix`."""
    state = module.state_dict()
    tensors = read_tensors(file, {prefix + name: tuple(tensor.shape) for name, tensor in state.items()})
    module.load_state_dict({name: tensors[prefix + name] for name in state})
    return module.requires_grad_(False).eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep upstream's prints and its dependencies' warnings off our streams."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
