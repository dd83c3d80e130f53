"""Reads a recording from a file, and rejects what cannot be cloned.

libsndfile reads it, or FFmpeg's libraries if libsndfile does not know the format. This module does not import torch.

The libraries of FFmpeg come with the package PyAV. Upstream reads recordings with `librosa.load`, which runs `ffmpeg`
for these formats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from tts_cli.audio import AUDIBLE, Samples, as_samples
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.weights.locate import INSTALL
from tts_cli.errors import MissingError, UsageError
from tts_cli.paths import explained
from tts_cli.recording_quality import SHORTEST

T3_SECONDS: Final = 15
"""How much of a recording T3 and the voice encoder use."""
LONGEST: Final = 300
"""How much of a recording is read, in seconds. Only the loudness is measured on more than the first 15."""
CLIPPED: Final = 0.005
"""A recording counts as clipped if more than this fraction of its samples is stuck at full scale."""
_CANNOT_OPEN: Final = 2
"""libsndfile's code for a file that the system cannot open. FFmpeg could not open it either."""

_OFFLINE: Final = {"protocol_whitelist": "file"}


@dataclass(frozen=True, slots=True)
class Recording:
    """The sound at the beginning of a file, and the length of all its sound.

    Parameters
    ----------
    frames
        Samples, float32 `[frames, channels]`.
    rate
        Frames a second.
    duration
        The length of all sound in the file, in seconds.
    """

    frames: Samples
    rate: int
    duration: float


def read_recording(file: Path) -> tuple[Samples, float]:
    """Read a recording, at most `LONGEST` seconds of it.

    Returns
    -------
    sound : Samples
        Mono, at 24 kHz, with the loudness that it has, `[n]`.
    duration : float
        The length of the whole recording, in seconds.

    Raises
    ------
    UsageError
        If the file cannot be read as sound, or if the sound is too short, silent or clipped, or has samples that are
        not finite.
    MissingError
        If PyAV is needed and not installed.
    """
    with explained("read", file, "check its name and its rights"):
        is_there = file.is_file()
    if not is_there:
        raise UsageError(f"there is no file {file}")
    found = load(file, LONGEST)
    _refuse_unusable(file, found.frames, len(found.frames) / found.rate)
    return resample(found.frames.mean(axis=1), found.rate, SAMPLE_RATE), found.duration


def resample(sound: Samples, rate: int, to: int) -> Samples:
    """Resample a sound. The result is that of `librosa.resample` (0.11).

    Parameters
    ----------
    sound
        Float32 `[n]`.
    rate, to
        Samples a second, before and after.

    Returns
    -------
    Samples
        Float32 `[ceil(n * to / rate)]`.

    Examples
    --------
    >>> resample(np.zeros(24_000, np.float32), 24_000, 16_000).shape
    (16000,)
    """
    import soxr

    if rate == to:
        return sound
    resampled = as_samples(soxr.resample(sound, rate, to, quality="HQ"))
    length = math.ceil(len(sound) * to / rate)
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))


def _refuse_unusable(file: Path, frames: Samples, seconds: float) -> None:
    """Raise `UsageError` if no voice can be made of a recording `[frames, channels]`."""
    if not np.isfinite(frames).all():
        raise UsageError(
            f"{file} has samples that are not finite numbers", "export it again from where it was recorded"
        )
    if seconds <= SHORTEST:
        raise UsageError(
            f"{file} is too short: {seconds:.1f} s of sound", f"use more than {SHORTEST:.0f} s, best 10 to 15"
        )
    heard = frames[: round(T3_SECONDS * len(frames) / seconds)]
    if not len(heard) or np.abs(heard).max() < AUDIBLE:
        raise UsageError(f"{file} is silent in its first {T3_SECONDS} s", "cut off the silence at its beginning")
    stuck = (np.abs(heard[1:]) >= 0.98) & (heard[1:] == heard[:-1])
    if stuck.mean() > CLIPPED:
        raise UsageError(
            f"{file} is clipped: {stuck.mean():.0%} of its samples stick at full scale",
            "record it again at a lower level",
        )


def load(file: Path, longest: float) -> Recording:
    """Read the first `longest` seconds of `file`.

    Raises
    ------
    UsageError
        If the file cannot be read as sound.
    MissingError
        If PyAV is needed and not installed.
    """
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        if error.code == _CANNOT_OPEN:
            raise _unreadable(file, error) from error
        return _decoded(file, longest)
    try:
        with sound:
            rate = sound.samplerate
            frames = sound.read(frames=min(sound.frames, round(longest * rate)), dtype="float32", always_2d=True)
            return Recording(frames, rate, sound.frames / rate)
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(file, error) from error


def _decoded(file: Path, longest: float) -> Recording:
    try:
        import av
    except ImportError as error:
        raise MissingError(f"reading {file} needs PyAV: {error}", f"run: {INSTALL}") from error
    blocks: list[Samples] = []
    rate = frames = 0
    try:
        # `_OFFLINE`, because a playlist must not reach the network. An open file, because FFmpeg takes the part of a
        # name before a colon for a protocol.
        with file.open("rb") as handle, av.open(handle, metadata_errors="ignore", options=_OFFLINE) as container:
            if not container.streams.audio:
                raise _unreadable(file, "it contains no sound")
            to_float = av.AudioResampler(format="fltp")
            for frame in container.decode(audio=0):
                for block in to_float.resample(frame):
                    rate = rate or block.sample_rate
                    blocks.append(as_samples(block.to_ndarray()))
                    frames += block.samples
                if rate and frames >= longest * rate:
                    break
            declared = (container.duration or 0) / av.time_base
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _unreadable(file, error) from error
    if not blocks:
        raise _unreadable(file, "it contains no sound")
    sound = np.concatenate(blocks, axis=1).T[: math.ceil(longest * rate)]
    return Recording(as_samples(sound), rate, max(len(sound) / rate, declared))


def _unreadable(file: Path, why: object) -> UsageError:
    return UsageError(
        f"{file} cannot be read as sound: {why}", "convert it to WAV or FLAC first, for example with ffmpeg"
    )
