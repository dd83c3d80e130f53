"""Adds Perth's implicit watermark to sound, chunk by chunk.

A small convolutional network computes what is added to the log magnitudes below 2 kHz. Perth's decoder can find this
mark in any part of the sound. The network is written here in plain torch, with the weights of the installed package.
The package itself is not imported, because that takes 3 s (librosa, numba) and needs pkg_resources.

No sound is held back. Each chunk is marked when it comes, together with some sound before it. The difference that the
mark makes is faded to zero at both ends of the chunk. So at a seam the sound is exactly the unmarked one, and the mark
causes no click.

References
----------
Perth: Resemble AI, resemble-perth 1.0.1 (MIT).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from tts_cli.audio import Samples, as_samples, raised_cosine
from tts_cli.engines.chatterbox.modules import Conv1d, Sequential, TypedModule
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.weights.tensors import built
from tts_cli.errors import MissingError, ModelError

RATE: Final = 32_000
"""Perth's sample rate, in samples a second."""
WINDOW: Final = 2048
"""Samples in a window of the spectrum."""
HOP: Final = 320
"""Samples from a window to the next."""
BINS: Final = 128
"""How many of the lowest bins carry the mark: those up to 2 kHz."""
HIDDEN: Final = 256
FLOOR_DB: Final = -180.0
HEADROOM_DB: Final = 15.0
QUIET: Final = 0.05
"""Frames with less than this fraction of the loudest frame's summed levels are not marked."""

SEEN: Final = round(0.4 * SAMPLE_RATE)
"""The fewest samples from which a mark is computed: in 0.4 s it can be found."""
CONTEXT: Final = round(0.064 * SAMPLE_RATE)
"""The fewest samples before a chunk that the mark is computed from, too: a window of the spectrum."""
FADE: Final = round(0.005 * SAMPLE_RATE)
"""Samples over which the mark is faded in and out: 5 ms."""


class Encoder(TypedModule):
    """Perth's encoder, with its names of parameters. It computes what is added to log magnitudes."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(BINS, HIDDEN, 1), *[(HIDDEN, HIDDEN, 7)] * 5, (HIDDEN, BINS, 1)]
        self.layers = Sequential(*(nn.Module() for _ in widths))
        for layer, (inputs, outputs, kernel) in zip(self.layers, widths, strict=True):
            layer.conv = Conv1d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, levels: Tensor) -> Tensor:
        """`[1, BINS, frames]` → the same shape."""
        *inner, last = self.layers
        for layer in inner:
            levels = nn.functional.leaky_relu(layer.conv(levels))
        added: Tensor = last.conv(levels)
        return added


class Watermarker:
    """Marks sound. It does not change, so utterances can share it; the state of a sound is in its `WatermarkStream`."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._window = torch.hann_window(WINDOW)

    @classmethod
    def load(cls) -> Watermarker:
        """Load the weights of the installed package `resemble-perth`.

        Raises
        ------
        MissingError
            If it is not installed.
        ModelError
            If its weights are damaged.
        """
        package = find_spec("perth")
        places = package.submodule_search_locations if package else None
        folder = Path(places[0], "perth_net", "pretrained", "implicit") if places else Path()
        files = sorted(folder.glob("perth_net_*.pth.tar")) if places else []
        if not files:
            raise MissingError(
                "the watermarker (resemble-perth) is not installed",
                "pip install resemble-perth, or speak with --no-watermark",
            )
        encoder = built(Encoder)
        try:
            state = torch.load(files[-1], map_location="cpu", weights_only=True, mmap=True)["model"]
            own = {name: state[f"encoder.{name}"] for name in encoder.state_dict()}
            encoder.load_state_dict(own, assign=True)
        except Exception as error:  # a damaged file can make torch raise anything
            raise ModelError(
                f"{files[-1]} is damaged", "install resemble-perth again, or speak with --no-watermark"
            ) from error
        return cls(encoder.requires_grad_(False).eval())

    def stream(self) -> WatermarkStream:
        """Begin a sound."""
        return WatermarkStream(self)

    @torch.inference_mode()
    def difference(self, sound: Samples) -> Samples:
        """Compute what the mark adds to a sound.

        Parameters
        ----------
        sound
            At 24 kHz, `[n]`; n is more than 768.

        Returns
        -------
        Samples
            `[n]`.
        """
        fast = torch.from_numpy(soxr.resample(sound, SAMPLE_RATE, RATE))
        spectrum = torch.stft(fast, WINDOW, HOP, window=self._window, return_complex=True)
        magnitudes = spectrum.abs().clip(10 ** (FLOOR_DB / 20))
        span = HEADROOM_DB - FLOOR_DB
        levels = (20 * torch.log10(magnitudes) - FLOOR_DB) / span
        loudness = levels.sum(dim=0)
        added = self._encoder(levels[None, :BINS])[0] * (loudness > QUIET * loudness.max())
        marked = torch.zeros_like(spectrum)
        marked[:BINS] = torch.polar(magnitudes[:BINS] * (10 ** (added * span / 20) - 1), torch.angle(spectrum[:BINS]))
        change = torch.istft(marked, WINDOW, HOP, window=self._window, length=len(fast))
        slow = soxr.resample(change.numpy(), RATE, SAMPLE_RATE)[: len(sound)]
        return np.pad(as_samples(slow), (0, len(sound) - len(slow)))


@dataclass(slots=True)
class WatermarkStream:
    """Marks one sound, chunk by chunk. It stores the last 0.4 s."""

    marker: Watermarker
    _past: Samples = field(default_factory=lambda: np.zeros(SEEN, np.float32))

    def push(self, samples: Samples) -> Samples:
        """Return the next samples, `[n]`, with the mark."""
        length = len(samples)
        if length < 2:
            return samples
        seen = np.concatenate([self._past[-max(CONTEXT, SEEN - length) :], samples])
        self._past = np.concatenate([self._past, samples])[-SEEN:]
        change = self.marker.difference(seen)[-length:].copy()
        ramp = raised_cosine(min(FADE, length // 2))
        change[: len(ramp)] *= ramp
        change[-len(ramp) :] *= ramp[::-1]
        return samples + change
