"""Makes a voice of a recording: computes what the networks need of it, and stores that.

Upstream's own speech tokenizer, speaker encoder and voice encoder compute the conditionals. Speaking does not need
them. Importing upstream takes seconds, so this module does it inside the functions that need it.

References
----------
The conditionals are those of `ChatterboxTurboTTS.prepare_conditionals` in chatterbox-tts 0.1.7 (tts_turbo.py), with one
difference: there, the voice encoder uses the whole recording, and here only its first 15 s, which T3's tokens cover.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from tts_cli.audio import Samples, as_samples
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, fingerprint, prefix_key, save_prefix
from tts_cli.engines.chatterbox.voice.past import save_past
from tts_cli.engines.chatterbox.voice.recording import T3_SECONDS, read_recording, resample
from tts_cli.engines.chatterbox.voice.store import ENGINE, VoiceStore
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, read_config
from tts_cli.engines.chatterbox.weights.locate import INSTALL
from tts_cli.engines.chatterbox.weights.tensors import Uninitialised, read_tensors
from tts_cli.engines.spec import VoiceInfo
from tts_cli.errors import MissingError

VE_FILE: Final = "ve.safetensors"
LOW_RATE: Final = 16_000
"""The sample rate that the tokenizer and both encoders need, in samples a second."""
S3GEN_SECONDS: Final = 10
"""How much of a recording the flow uses."""
VOICE_TOKENS: Final = 375
"""The most tokens of the voice in T3's input: 15 s."""
LOUDNESS: Final = -27.0
"""The loudness that upstream gives to a recording, in LUFS."""

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
    """Make a voice of a recording, and store it.

    Parameters
    ----------
    file
        The recording.
    name
        The name of the voice.
    folder
        The folder with the weights.
    store
        Where to store the voice. Either all of its files are stored, or none.
    force
        Whether to replace a voice that has the name.
    progress
        Called with a few words when a step begins.

    Returns
    -------
    VoiceInfo
        What is known about the stored voice.

    Raises
    ------
    UsageError
        If the name or the recording cannot be used.
    MissingError
        If weights or packages are missing.
    ModelError
        If weights are damaged.
    OutputError
        If the store cannot be written to.
    """
    store.check_free(name, force)
    progress("reading the recording")
    sound, duration = read_recording(file)
    info = VoiceInfo(
        name,
        ENGINE,
        path=store.directory / f"{name}.pt",
        source=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        duration=round(duration, 3),
    )
    return store_voice(sound, info, folder, store, force=force, progress=progress)


def store_voice(
    sound: Samples,
    about: VoiceInfo,
    folder: Path,
    store: VoiceStore,
    *,
    force: bool = False,
    progress: Progress = lambda _: None,
) -> VoiceInfo:
    """Make a voice of sound, and store it. Raises as `cache_voice`.

    Parameters
    ----------
    sound
        As `read_recording` returns it.
    about
        What is known about the voice before it is made.
    folder, store, force, progress
        As for `cache_voice`.

    Returns
    -------
    VoiceInfo
        `about`, with when it was made and by which model.
    """
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
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    info = replace(about, created=created, model=model)
    progress("saving")
    with store.reserve(info.name, force) as draft:
        voice.save(draft.pt)
        save_prefix(prefix, prefix_key(model, voice), draft.prefix)
        save_past(past, voice.gen, draft.flow, folder, decoder)
        draft.describe(info)
    return info


def prepare(sound: Samples, folder: Path, progress: Progress = lambda _: None) -> Conditionals:
    """Compute the conditionals of a recording.

    Parameters
    ----------
    sound
        Mono, at 24 kHz, longer than 5 s, `[n]`.
    folder
        The folder with the weights.
    progress
        Called with a few words when a step begins.

    Returns
    -------
    Conditionals
        What the networks need of the voice.

    Raises
    ------
    MissingError
        If chatterbox-tts or weights are missing.
    ModelError
        If weights are damaged.
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
    """Bring `sound` (24 kHz) to -27 LUFS (ITU-R BS.1770-4). If it has no finite loudness, it stays as it is."""
    import pyloudnorm

    loudness = float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(sound))
    gain = 10 ** ((LOUDNESS - loudness) / 20) if math.isfinite(loudness) else 1.0
    return as_samples(sound * gain)


class _ReferenceEncoders:
    """Upstream's speech tokenizer, speaker encoder and voice encoder, with the weights in a folder."""

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
        with Uninitialised():
            tokenizer, speaker = S3Tokenizer("speech_tokenizer_v2_25hz"), CAMPPlus(memory_efficient=False)
            voice_encoder = VoiceEncoder()
        self.tokenizer = _filled(tokenizer, s3gen, "tokenizer.")
        self._speaker = _filled(speaker, s3gen, "speaker_encoder.")
        self.voice_encoder: Any = _filled(voice_encoder, folder / VE_FILE, "")
        self._mel = mel_spectrogram
        self._resample = Resample(SAMPLE_RATE, LOW_RATE)

    def reference(self, sound: torch.Tensor) -> dict[str, torch.Tensor | None]:
        """The conditionals of S3Gen for sound `[1, n]` at 24 kHz, as `S3Token2Mel.embed_ref` computes them upstream."""
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
    """Load the tensors of `file` whose names begin with `prefix` into `module`, and return it."""
    state = module.state_dict()
    tensors = read_tensors(file, {prefix + name: tuple(tensor.shape) for name, tensor in state.items()})
    module.load_state_dict({name: tensors[prefix + name] for name in state})
    return module.requires_grad_(False).eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what upstream prints, and warnings of its dependencies."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
