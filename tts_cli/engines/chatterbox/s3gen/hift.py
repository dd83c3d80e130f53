"""HiFT, the vocoder's network: it computes samples from mel frames and a harmonic source.

All networks here run over streams in pieces. Their state, the phase of the source and its noise are given by the
caller.

References
----------
The results and the names of parameters are those of `HiFTGenerator` and `ConvRNNF0Predictor` in chatterbox-tts 0.1.7
(models/s3gen/hifigan.py and f0_predictor.py). HiFTNet, a neural source filter with an inverse STFT at its end: Li et
al. 2023, arXiv:2309.09493.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.s3gen.hift_layers import (
    NormedConv,
    NormedConvTranspose,
    ResBlock,
    RowConv,
    same_length,
)
from tts_cli.engines.chatterbox.s3gen.streaming import (
    StreamedConv,
    StreamedConvTranspose,
    StreamedReflection,
    StreamedSum,
    Tails,
)
from tts_cli.engines.chatterbox.weights.config import VocoderConfig


class F0Predictor(TypedModule):
    """Computes the fundamental frequency (F0) of mel frames."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        widths = [config.in_channels, *([config.f0_cond_channels] * 5)]
        layers: list[nn.Module] = []
        for width, width_out in pairwise(widths):
            layers += [RowConv(width, width_out, 3), nn.ELU()]
        self.condnet = Sequential(*layers)
        self.classifier = Linear(config.f0_cond_channels, 1)
        self.streamed = same_length(self.condnet[::2])

    def forward(self, mels: Tensor, tails: Tails, final: bool) -> Tensor:
        """Compute F0. Each frame needs the five frames after it.

        Parameters
        ----------
        mels
            The next mel frames, `[1, 80, n]`.
        tails
            The state, which this changes.
        final
            Whether the sound ends with them.

        Returns
        -------
        Tensor
            F0 in Hz of the frames that are complete, `[1, m]`.
        """
        x = mels
        for conv, elu, streamed in zip(self.condnet[::2], self.condnet[1::2], self.streamed, strict=True):
            x = elu(streamed(conv, x, tails, final))
        return self.classifier(x.mT).squeeze(-1).abs()


class SourceMixer(TypedModule):
    """Mixes the harmonics of the source into one signal."""

    def __init__(self, harmonics: int) -> None:
        super().__init__()
        self.l_linear = Linear(harmonics, 1)

    def forward(self, waves: Tensor) -> Tensor:
        """`[1, harmonics, n]` → `[1, n]`."""
        return torch.tanh(self.l_linear(waves.mT)).squeeze(-1)


class SourceSpectrum:
    """The STFT of the source over a stream, reflected at both ends as by `torch.stft(…, center=True)`.

    Parameters
    ----------
    n_fft
        Samples in a window.
    hop
        Samples from a window to the next.
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        self.n_fft, self.hop = n_fft, hop

    def __call__(self, source: Tensor, tails: Tails, final: bool) -> Tensor:
        """The next samples `[1, n]` → real and imaginary parts `[1, n_fft + 2, m]` that they make possible."""
        half, before = self.n_fft // 2, tails.get(self)
        if before is None:
            before = source[:, 1 : half + 1].flip(1)
        window = torch.cat((before, source), dim=1)
        if final:
            window = torch.cat((window, window[:, -half - 1 : -1].flip(1)), dim=1)
        count = (window.shape[1] - self.n_fft) // self.hop + 1
        if count < 1:
            return source.new_empty(1, self.n_fft + 2, 0)
        tails[self] = window[:, count * self.hop :].clone()
        hann = torch.hann_window(self.n_fft, device=source.device)
        spectrum = torch.stft(window, self.n_fft, self.hop, self.n_fft, hann, center=False, return_complex=True)
        return torch.cat((spectrum.real, spectrum.imag), dim=1)


class HiFT(TypedModule):
    """The vocoder's network, over a stream.

    Parameters
    ----------
    config
        Its sizes.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        base, bins, stages = config.base_channels, config.n_fft + 2, len(config.upsample_rates)
        widths = [base // 2**i for i in range(stages + 1)]
        self.f0_predictor = F0Predictor(config)
        self.m_source = SourceMixer(config.nb_harmonics + 1)
        self.conv_pre = NormedConv(config.in_channels, base, 7)
        self.ups = nn.ModuleList(
            NormedConvTranspose(widths[i], widths[i + 1], kernel, rate, padding=(kernel - rate) // 2)
            for i, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True))
        )
        self.source_downs = nn.ModuleList(
            Conv1d(bins, width, 2 * rate, rate) if rate > 1 else Conv1d(bins, width, 1)
            for width, rate in zip(widths[1:], source_rates(config), strict=True)
        )
        self.source_resblocks = nn.ModuleList(
            ResBlock(width, kernel, dilations)
            for width, kernel, dilations in zip(
                widths[1:],
                config.source_resblock_kernel_sizes,
                config.source_resblock_dilation_sizes,
                strict=True,
            )
        )
        self.resblocks = nn.ModuleList(
            ResBlock(width, kernel, dilations)
            for width in widths[1:]
            for kernel, dilations in zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)
        )
        self.conv_post = NormedConv(widths[-1], bins, 7)

        self.spectrum = SourceSpectrum(config.n_fft, config.hop)
        self.streamed_pre, self.streamed_post = same_length([self.conv_pre, self.conv_post])
        self.streamed_ups = [
            StreamedConvTranspose(up.out_channels, up.kernel_size[0], up.stride[0], up.padding[0]) for up in self.ups
        ]
        self.streamed_downs = [
            StreamedConv(conv, rate // 2) for conv, rate in zip(self.source_downs, source_rates(config), strict=True)
        ]
        self.reflection = StreamedReflection()
        self.sums_source, self.sums_blocks = ([StreamedSum() for _ in range(stages)] for _ in range(2))
        self.streamed_wave = StreamedConvTranspose(1, config.n_fft, config.hop, config.n_fft // 2)

    def forward(self, mels: Tensor, source: Tensor, tails: Tails, final: bool) -> Tensor:
        """Compute the samples that the next mel frames and the next samples of the source make possible.

        Parameters
        ----------
        mels
            The next mel frames, `[1, 80, n]`.
        source
            The next samples of the source, `[1, k]`. They may cover fewer frames than `mels` so far.
        tails
            The state, which this changes.
        final
            Whether the sound ends with them. Then the mel frames and the source have ended at the same place.

        Returns
        -------
        Tensor
            `[1, m]`. In the end there are 480 samples for each frame.
        """
        config = self.config
        excitation = self.spectrum(source, tails, final)
        x = self.streamed_pre(self.conv_pre, mels, tails, final)
        kernels = len(config.resblock_kernel_sizes)
        for i, up in enumerate(self.ups):
            x = self.streamed_ups[i](up, F.leaky_relu(x, config.lrelu_slope), tails, final)
            if i == len(self.ups) - 1:
                x = self.reflection(x, tails)
            driven = self.streamed_downs[i](self.source_downs[i], excitation, tails, final)
            x = self.sums_source[i](x, self.source_resblocks[i](driven, tails, final), tails=tails)
            blocks = self.resblocks[i * kernels : (i + 1) * kernels]
            x = self.sums_blocks[i](*(block(x, tails, final) for block in blocks), tails=tails) / kernels
        x = self.streamed_post(self.conv_post, F.leaky_relu(x), tails, final)
        return self.streamed_wave(self._wave, x, tails, final)[0]

    def _wave(self, x: Tensor) -> Tensor:
        """`[1, n_fft + 2, n]` → samples `[1, 1, hop * (n - 1)]`.

        Half of the channels are log magnitudes; the sines of the others are the phases in radians.
        """
        n_fft, hop = self.config.n_fft, self.config.hop
        magnitude, phase = x[:, : n_fft // 2 + 1].exp().clamp(max=1e2), x[:, n_fft // 2 + 1 :].sin()
        wave = torch.istft(torch.polar(magnitude, phase), n_fft, hop, n_fft, torch.hann_window(n_fft, device=x.device))
        return wave.clamp(-self.config.audio_limit, self.config.audio_limit)[:, None]


def source_rates(config: VocoderConfig) -> list[int]:
    """How many windows of the source's STFT belong to one position after each upsampling.

    Examples
    --------
    >>> source_rates(VocoderConfig())
    [15, 3, 1]
    """
    return [math.prod(config.upsample_rates[i + 1 :]) for i in range(len(config.upsample_rates))]


def receptive_frames(config: VocoderConfig) -> int:
    """How many mel frames before and after its own a sample depends on, at most.

    They are counted from the samples back to the mel frames, in two ways: through the layers that begin with the mel
    frames, and through the source, whose F0 depends on five more frames.

    Examples
    --------
    >>> receptive_frames(VocoderConfig())
    20
    """
    per_frame = math.prod(config.upsample_rates) * config.hop
    blocks = [
        _block_radius(k, d) for k, d in zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)
    ]
    mel = (config.n_fft + 4 * config.hop) / per_frame
    source = 0.0
    for i in reversed(range(len(config.upsample_rates))):
        down, rate, kernel = (
            source_rates(config)[i],
            config.upsample_rates[i],
            config.upsample_kernel_sizes[i],
        )
        position = down * config.hop / per_frame
        mel += max(blocks) * position
        side = _block_radius(config.source_resblock_kernel_sizes[i], config.source_resblock_dilation_sizes[i])
        source = max(source, mel + (side + 2) * position + config.n_fft / per_frame)
        mel += (kernel + rate) / (2 * rate) * position * rate
    return math.ceil(max(mel + 3, source + 5))


def _block_radius(kernel: int, dilations: tuple[int, ...]) -> int:
    """How many positions before and after its own an output of a `ResBlock` depends on."""
    return sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)
