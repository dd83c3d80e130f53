"""Perth's implicit watermark, put into sound as it streams past.

Perth (Resemble AI, resemble-perth 1.0.1, MIT) adds to the log-magnitudes below 2 kHz what a small
convolutional network computes from them; its decoder then finds the mark in any stretch of the sound. The
network is written here in plain torch and takes the weights out of the installed package, without importing
it: that would import librosa and numba (3 s) and needs pkg_resources.

Nothing is held back: a chunk is marked as soon as it comes, seen together with a little of what came
before, and only the *difference* that the mark makes (band-limited to 2 kHz, some 16 dB below the sound) is
faded to nothing at both ends of the chunk. So at a join the sound is exactly the unmarked one, and the mark
cannot click.
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

from tts_cli.audio import SAMPLE_RATE, Samples, as_samples, raised_cosine
from tts_cli.engines.chatterbox.modules import Conv1d, Sequential, TypedModule
from tts_cli.errors import MissingError, ModelError

RATE: Final = 32_000
"""Samples a second that Perth works at, with the spectrum below."""
WINDOW: Final = 2048
HOP: Final = 320
BINS: Final = 128
"""Lowest bins of the spectrum, up to 2 kHz: the ones that carry the mark."""
HIDDEN: Final = 256
FLOOR_DB: Final = -180.0
HEADROOM_DB: Final = 15.0
QUIET: Final = 0.05
"""Frames whose summed magnitude is below this part of the loudest frame's are left alone."""

SEEN: Final = round(0.4 * SAMPLE_RATE)
"""Samples that are looked at, at least, to mark a chunk: 0.4 s are enough for the mark to be found."""
CONTEXT: Final = round(0.064 * SAMPLE_RATE)
"""Samples in front of a chunk that are looked at in any case: a window of the spectrum."""
FADE: Final = round(0.005 * SAMPLE_RATE)


class Encoder(TypedModule):
    """Perth's encoder, under the names of its state dict: log-magnitudes in, what to add to them out."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(BINS, HIDDEN, 1), *[(HIDDEN, HIDDEN, 7)] * 5, (HIDDEN, BINS, 1)]
        self.layers = Sequential(*(nn.Module() for _ in widths))
        for layer, (inputs, outputs, kernel) in zip(self.layers, widths, strict=True):
            layer.conv = Conv1d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, levels: Tensor) -> Tensor:
        """`[1, BINS, frames]` to the same shape."""
        *inner, last = self.layers
        for layer in inner:
            levels = nn.functional.leaky_relu(layer.conv(levels))
        added: Tensor = last.conv(levels)
        return added


class Watermarker:
    """Marks sound. Read-only once loaded: what a stream has to remember is in its `WatermarkStream`."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._window = torch.hann_window(WINDOW)

    @classmethod
    def load(cls) -> Watermarker:
        """With the weights of the installed `resemble-perth`.

        Raises `MissingError` where it is not installed, `ModelError` where its weights are damaged.
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
        with torch.device("meta"):
            encoder = Encoder()
        try:
            state = torch.load(files[-1], map_location="cpu", weights_only=True, mmap=True)["model"]
            own = {name: state[f"encoder.{name}"] for name in encoder.state_dict()}
            encoder.load_state_dict(own, assign=True)
        except Exception as error:  # torch fails in as many ways as there are damaged files
            raise ModelError(
                f"{files[-1]} is damaged", "install resemble-perth again, or speak with --no-watermark"
            ) from error
        return cls(encoder.requires_grad_(False).eval())

    def stream(self) -> WatermarkStream:
        """Begin a sound."""
        return WatermarkStream(self)

    @torch.inference_mode()
    def difference(self, sound: Samples) -> Samples:
        """What the mark adds to `sound` (24 kHz, `[n]`, n > 768): same shape."""
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
    """One sound on its way, and the last stretch of it."""

    marker: Watermarker
    _past: Samples = field(default_factory=lambda: np.zeros(SEEN, np.float32))

    def push(self, samples: Samples) -> Samples:
        """`samples` `[n]` with the mark in them, at once: same shape."""
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
