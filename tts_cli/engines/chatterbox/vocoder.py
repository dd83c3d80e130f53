"""Mel frames to samples, as they come: HiFT over a bounded window, its source carried from chunk to chunk.

A sample depends on a bounded number of mel frames on either side (`receptive_frames`), on the phase of its
harmonics, which is a running sum of F0 over all that was said before, and on noise. So a window with enough
frames on both sides, the running sum and noise drawn by position give the very samples that the whole
utterance would: with `receptive_frames` frames ahead exactly, with fewer nearly, the more of them the nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tts_cli.audio import SAMPLES_PER_FRAME, raised_cosine
from tts_cli.engines.chatterbox.config import MEL_BINS, S3GEN_FILE, ModelConfig
from tts_cli.engines.chatterbox.hift import HiFT, receptive_frames
from tts_cli.engines.chatterbox.noise import Noise
from tts_cli.engines.chatterbox.weights import load_module

JOIN: Final = SAMPLES_PER_FRAME
"""Samples over which a chunk takes over from what the one before it foresaw (20 ms)."""
ONSET: Final = 2 * SAMPLES_PER_FRAME
"""Samples at the start of an utterance, which echo the reference: 20 ms are muted, 20 ms faded in."""


@dataclass(slots=True)
class VocoderState:
    """What one utterance's vocoder remembers between chunks."""

    noise: Noise
    phases: Tensor
    """Initial phases `[harmonics]` in radians."""
    turns: Tensor
    """Turns of each harmonic so far, less the whole ones, float64 `[harmonics]`."""
    history: Tensor
    """The last mel frames already spoken, `[80, at most receptive_frames]`."""
    source: Tensor
    """The source over `history`, `[480 × frames]`."""
    foreseen: Tensor
    """What the last chunk expected to come next, `[at most JOIN]`."""
    onset: Tensor
    """Gain of the samples to come, as far as it is not one, `[at most ONSET]`."""
    position: int
    """The next mel frame's number in the utterance, which picks its noise."""


class Vocoder:
    """HiFT and the streaming around it. Read-only once loaded; all state is in `VocoderState`."""

    def __init__(self, network: HiFT) -> None:
        self.network = network
        # A window's F0 must be the whole utterance's to the last digits, since its running sum is a phase: in
        # float64 it is, for a fiftieth of a chunk's time, and the CPU is where every machine has float64.
        network.f0_predictor.to("cpu", torch.float64)
        self.context = receptive_frames(network.config)
        self.harmonics = network.config.nb_harmonics + 1
        self.device = network.conv_pre.weight.device

    @classmethod
    def load(cls, folder: Path, config: ModelConfig, device: torch.device) -> Vocoder:
        """The vocoder of the weights in `folder`. Raises as `load_module` does."""
        return cls(load_module(lambda: HiFT(config.vocoder), folder / S3GEN_FILE, "mel2wav.", device))

    def start(self, noise: Noise, position: int = 0, *, onset: bool = True) -> VocoderState:
        """A state with no past, in front of mel frame `position`; `onset` mutes and fades its start."""
        return VocoderState(
            noise=noise,
            phases=noise.phases(self.harmonics).double(),
            turns=torch.zeros(self.harmonics, dtype=torch.float64),
            history=torch.empty(MEL_BINS, 0, device=self.device),
            source=torch.empty(0, device=self.device),
            foreseen=torch.empty(0, device=self.device),
            onset=onset_gain().to(self.device) if onset else torch.empty(0, device=self.device),
            position=position,
        )

    def push(self, state: VocoderState, mels: Tensor, ahead: Tensor | None = None) -> Tensor:
        """The samples `[480 n]` of the next mel frames `[80, n]`; `state` moves on by n frames.

        `ahead` `[80, m]` is what follows, as far as it is known; without it the utterance ends here. It
        serves as context and may turn out otherwise. With `context` frames of what really follows, the
        samples are those of the whole utterance.
        """
        if mels.shape[1] == 0:
            return mels.new_empty(0)
        known, count = state.history.shape[1], mels.shape[1]
        ahead = mels.new_empty(MEL_BINS, 0) if ahead is None else ahead[:, : self.context]
        window = torch.cat((state.history, mels, ahead), dim=1)
        f0 = self.network.f0_predictor(window[None].cpu().double())[0, known:]
        fresh, turns = self._source(state, f0, count)
        source = torch.cat((state.source, fresh))
        wave = self.network.decode(window[None], source[None])[0, known * SAMPLES_PER_FRAME :]

        head = len(state.foreseen)
        if head:
            fade = torch.from_numpy(raised_cosine(head)).to(wave)
            wave[:head] = state.foreseen * (1 - fade) + wave[:head] * fade
        end = count * SAMPLES_PER_FRAME
        kept = max(0, known + count - self.context)
        state.foreseen = wave[end : end + JOIN]
        state.history = window[:, kept : known + count]
        state.source = source[kept * SAMPLES_PER_FRAME : (known + count) * SAMPLES_PER_FRAME]
        state.turns = turns
        state.position += count
        spoken, gain = wave[:end], state.onset[:end]
        state.onset = state.onset[end:]
        return torch.cat((spoken[: len(gain)] * gain, spoken[len(gain) :]))

    def _source(self, state: VocoderState, f0: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The source `[480 m]` of m frames with fundamentals `f0` in Hz, and the turns after `count` of them.

        As upstream's SineGen, but in float64 until the whole turns are dropped; upstream rounds to
        float32 before, and so departs by and by from the phase that its own F0 asks for.
        """
        config = self.network.config
        pitch = f0.repeat_interleave(SAMPLES_PER_FRAME)
        steps = torch.stack([pitch * (i + 1) / config.sampling_rate for i in range(self.harmonics)])
        turns = state.turns[:, None] + steps.cumsum(dim=1)
        angle = (2 * torch.pi * (turns % 1)).float()
        voiced = (pitch > config.nsf_voiced_threshold).float()
        start = state.position * SAMPLES_PER_FRAME
        noise = state.noise.source(self.harmonics, start, start + len(pitch))
        level = voiced * config.nsf_sigma + (1 - voiced) * config.nsf_alpha / 3
        waves = config.nsf_alpha * torch.sin(angle + state.phases[:, None].float()) * voiced + level * noise
        mixed: Tensor = self.network.m_source(waves[None].to(self.device))[0]
        return mixed, turns[:, count * SAMPLES_PER_FRAME - 1] % 1


def onset_gain() -> Tensor:
    """Gain of an utterance's first `ONSET` samples, upstream's `trim_fade`: silence, then a raised cosine."""
    silent = ONSET // 2
    rise = (torch.cos(torch.linspace(torch.pi, 0, ONSET - silent)) + 1) / 2
    return torch.cat((torch.zeros(silent), rise))
