"""Mel frames to samples, as they come: every layer of HiFT goes on where it stood.

A sample depends on mel frames up to `delay` later. It is exact, the one that the whole utterance would give,
as soon as they are known. Until then it can be foreseen: computed as if what is known were all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tts_cli.audio import SAMPLES_PER_FRAME, raised_cosine
from tts_cli.engines.chatterbox.s3gen.hift import HiFT, receptive_frames
from tts_cli.engines.chatterbox.s3gen.noise import Noise
from tts_cli.engines.chatterbox.s3gen.streaming import Tails
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, ModelConfig
from tts_cli.engines.chatterbox.weights.tensors import load_module

JOIN: Final = SAMPLES_PER_FRAME
"""Samples over which a chunk takes over from what the one before it foresaw (20 ms)."""
ONSET: Final = 2 * SAMPLES_PER_FRAME
"""Samples at the start of an utterance, which echo the reference: 20 ms are muted, 20 ms faded in."""


@dataclass(slots=True)
class VocoderState:
    """What one utterance's vocoder remembers between pushes."""

    noise: Noise
    phases: Tensor
    """Initial phases `[harmonics]` in radians."""
    turns: Tensor
    """Turns of each harmonic so far, less the whole ones, float64 `[harmonics]`."""
    position: int
    """The number in the utterance of the source's next mel frame, which picks its noise."""
    tails: Tails
    """What the networks remember."""
    known: int
    """Samples that the mel frames so far stand for."""
    spoken: int
    """Samples handed out."""
    ready: Tensor
    """Exact samples behind those handed out."""
    early: int
    """Samples handed out before they were exact."""
    foreseen: Tensor
    """What was expected to follow the samples handed out early, `[at most JOIN]`."""
    onset: Tensor
    """Gain of the samples to come, as far as it is not one, `[at most ONSET]`."""


class Vocoder:
    """HiFT and the streaming around it. Read-only once loaded; all state is in `VocoderState`."""

    def __init__(self, network: HiFT) -> None:
        self.network = network
        # A piece's F0 must be the whole utterance's to the last digits, since its running sum is a phase: in
        # float64 it is, for a small part of the time, and the CPU is where every machine has float64.
        network.f0_predictor.to("cpu", torch.float64)
        self.delay = receptive_frames(network.config)
        self.harmonics = network.config.nb_harmonics + 1
        self.device = network.conv_pre.weight.device

    @classmethod
    def load(cls, folder: Path, config: ModelConfig, device: torch.device) -> Vocoder:
        """The vocoder of the weights in `folder`. Raises as `load_module` does."""
        return cls(load_module(lambda: HiFT(config.vocoder), folder / S3GEN_FILE, "mel2wav.", device))

    def start(self, noise: Noise, position: int = 0, *, onset: bool = True) -> VocoderState:
        """A state with no past, in front of mel frame `position`; `onset` mutes and fades its start."""
        nothing = torch.empty(0, device=self.device)
        return VocoderState(
            noise=noise,
            phases=noise.phases(self.harmonics).double(),
            turns=torch.zeros(self.harmonics, dtype=torch.float64),
            position=position,
            tails={},
            known=0,
            spoken=0,
            ready=nothing,
            early=0,
            foreseen=nothing,
            onset=onset_gain().to(self.device) if onset else nothing,
        )

    def push(
        self, state: VocoderState, mels: Tensor, *, final: bool, ahead: Tensor | None = None, hold: int = 0
    ) -> Tensor:
        """The samples `[480 m]` that follow when the mel frames `[80, n]` are added to `state`.

        They reach up to `hold` mel frames before the last one, if `final` to the end. With `delay` frames held
        back they are exact, for every chunking. With fewer the last of them are foreseen, as if the frames
        `ahead` `[80, k]` followed and then the sound ended; the next push takes over from them within `JOIN`
        samples. For that something must have been known of the sound behind them: one frame held or ahead.
        """
        state.known += mels.shape[1] * SAMPLES_PER_FRAME
        end = state.known if final else max(state.spoken, state.known - hold * SAMPLES_PER_FRAME)
        count = end - state.spoken
        if final and count == 0:
            return state.ready
        exact = self._decode(state, mels, final)
        wave = torch.cat((state.ready, exact[state.early :]))
        state.early = max(0, state.early - len(exact))
        state.ready = wave[count:].clone()
        foreseen = count - len(wave)
        if foreseen > 0:
            past = replace(state, tails=state.tails.copy())
            guess = self._decode(past, mels[:, :0] if ahead is None else ahead, final=True)
            wave = torch.cat((wave, guess[state.early :]))
            state.early += foreseen
        spoken = wave[:count]
        if count:
            head = len(state.foreseen)
            fade = torch.from_numpy(raised_cosine(head)).to(self.device)
            spoken = torch.cat((state.foreseen * (1 - fade) + spoken[:head] * fade, spoken[head:]))
            state.foreseen = wave[count : count + JOIN].clone() if foreseen > 0 else wave.new_empty(0)
        state.spoken = end
        gain, state.onset = state.onset[:count], state.onset[count:]
        return torch.cat((spoken[: len(gain)] * gain, spoken[len(gain) :]))

    def _decode(self, state: VocoderState, mels: Tensor, final: bool) -> Tensor:
        """The exact samples that the next mel frames make possible; `state`'s source and networks move on."""
        f0 = self.network.f0_predictor(mels[None].cpu().double(), state.tails, final)[0]
        source = self._source(state, f0)
        return self.network(mels[None], source, state.tails, final)[0]

    def _source(self, state: VocoderState, f0: Tensor) -> Tensor:
        """The source's next samples `[1, 480 n]`, for n more fundamentals in Hz.

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
        state.turns = torch.cat((state.turns[:, None], turns), dim=1)[:, -1] % 1
        state.position += len(f0)
        return self.network.m_source(waves[None].to(self.device))


def onset_gain() -> Tensor:
    """Gain of an utterance's first `ONSET` samples, upstream's `trim_fade`: silence, then a raised cosine."""
    silent = ONSET // 2
    rise = (torch.cos(torch.linspace(torch.pi, 0, ONSET - silent)) + 1) / 2
    return torch.cat((torch.zeros(silent), rise))
