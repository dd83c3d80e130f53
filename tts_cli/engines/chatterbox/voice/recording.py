"""Reads a recording from a file: with libsndfile, or with FFmpeg's libraries if libsndfile does not know the format.

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

from tts_cli.audio import Samples, as_samples
from tts_cli.engines.chatterbox.weights.locate import INSTALL
from tts_cli.errors import MissingError, UsageError

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
