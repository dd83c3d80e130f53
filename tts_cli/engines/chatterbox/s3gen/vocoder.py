"""The vocoder: it computes samples from mel frames as these are computed, with HiFT over a stream.

A sample depends on up to `delay` later mel frames. When these are known, the sample is *exact*: it equals that of the
whole utterance. Before, it can be *foreseen*: computed as if no more frames followed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tts_cli.audio import raised_cosine
from tts_cli.engines.chatterbox.s3gen.hift import HiFT, receptive_frames
from tts_cli.engines.chatterbox.s3gen.noise import Noise
from tts_cli.engines.chatterbox.s3gen.streaming import Tails
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, SAMPLES_PER_FRAME, ModelConfig
from tts_cli.engines.chatterbox.weights.tensors import load_module

JOIN: Final = SAMPLES_PER_FRAME
"""Samples over which a chunk is faded in over the foreseen sound of the chunk before it: 20 ms."""
ONSET: Final = 2 * SAMPLES_PER_FRAME
"""Samples at the start of an utterance that are muted (20 ms) or faded in (20 ms), because the reference can be heard
in them."""


@dataclass(slots=True)
class VocoderState:
    """The state of the vocoder in one utterance."""

    noise: Noise
    phases: Tensor
    """The initial phases of the harmonics in radians, `[harmonics]`."""
    turns: Tensor
    """The phase of each harmonic, less the initial one, in turns: 0 to 1, float64 `[harmonics]`."""
    position: int
    """The mel frame with which the source continues, for its noise."""
    tails: Tails
    """The state of the networks."""
    known: int
    """How many samples belong to the mel frames so far."""
    spoken: int
    """How many samples have been given."""
    ready: Tensor
    """Exact samples after those that have been given, `[n]`."""
    early: int
    """How many samples were given as foreseen and are not exact yet."""
    foreseen: Tensor
    """The foreseen samples after those that have been given, `[at most JOIN]`."""
    onset: Tensor
    """The gain of the next samples, where it is not 1, `[at most ONSET]`."""


class Vocoder:
    """The vocoder. It does not change, so utterances can share it; their state is in a `VocoderState`.

    Parameters
    ----------
    network
        HiFT, with its weights.

    Attributes
    ----------
    delay
        How many later mel frames a sample depends on.
    harmonics
        How many harmonics the source has, the fundamental included.
    """

    def __init__(self, network: HiFT) -> None:
        self.network = network
        # The running sum of F0 is a phase, so F0 of a piece must be very close to that of the whole utterance. In
        # float64 it is, at little cost. Some GPUs have no float64, but every CPU has.
        network.f0_predictor.to("cpu", torch.float64)
        self.delay = receptive_frames(network.config)
        self.harmonics = network.config.nb_harmonics + 1
        self.device = network.conv_pre.weight.device

    @classmethod
    def load(cls, folder: Path, config: ModelConfig, device: torch.device) -> Vocoder:
        """Load the vocoder.

        Parameters
        ----------
        folder
            The folder with the weights.
        config
            The sizes of the model.
        device
            Where to compute. F0 is always computed on the CPU.

        Returns
        -------
        Vocoder
            Ready to compute.

        Raises
        ------
        TTSError
            As `load_module` does.
        """
        return cls(load_module(lambda: HiFT(config.vocoder), folder / S3GEN_FILE, "mel2wav.", device))

    def start(self, noise: Noise, position: int = 0, *, onset: bool = True) -> VocoderState:
        """The state at the start of a sound.

        Parameters
        ----------
        noise
            The noise of the utterance.
        position
            The mel frame of the utterance with which the sound begins, for its noise.
        onset
            Whether the start is muted and faded in.

        Returns
        -------
        VocoderState
            What `push` takes and changes.
        """
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
        """Compute the next samples.

        Parameters
        ----------
        state
            The state of the utterance, which this changes.
        mels
            The next mel frames, `[80, n]`.
        final
            Whether the sound ends with them.
        ahead
            Frames `[80, k]` that are likely to follow. Only foreseen samples depend on them.
        hold
            How many of the last frames get no samples yet. With `delay` or more, all samples are exact, for any chunks.
            With fewer, the last samples are foreseen, and the next push fades its own in over `JOIN` samples. That
            needs foreseen sound after the given samples, so `hold` or `ahead` must have one frame at least.

        Returns
        -------
        Tensor
            `[480 m]`.
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
        """The exact samples that the next mel frames make possible. Changes the source and the tails of `state`."""
        f0 = self.network.f0_predictor(mels[None].cpu().double(), state.tails, final)[0]
        source = self._source(state, f0)
        return self.network(mels[None], source, state.tails, final)[0]

    def _source(self, state: VocoderState, f0: Tensor) -> Tensor:
        """The next samples of the source, `[1, 480 n]`, for F0 of n frames in Hz.

        The results are those of upstream's `SineGen` (models/s3gen/hifigan.py), except that phases are float64 until
        whole turns are dropped. Upstream rounds them to float32 before, so its phase drifts in long utterances.
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
    """The gain of the first samples of an utterance: silence, then a raised cosine, as upstream's `trim_fade`.

    Returns
    -------
    Tensor
        `[ONSET]`.

    Examples
    --------
    >>> gain = onset_gain()
    >>> len(gain), float(gain[479]), float(gain[-1])
    (960, 0.0, 1.0)
    """
    silent = ONSET // 2
    rise = (torch.cos(torch.linspace(torch.pi, 0, ONSET - silent)) + 1) / 2
    return torch.cat((torch.zeros(silent), rise))
