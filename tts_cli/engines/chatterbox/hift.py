"""HiFT, the vocoder's networks: mel frames and a harmonic source to samples.

A neural source filter with an inverse STFT at its end (HiFTNet, arXiv:2309.09493). Computes what
`HiFTGenerator` and `ConvRNNF0Predictor` of chatterbox-tts 0.1.7 do (models/s3gen/hifigan.py,
f0_predictor.py), with their parameter names. Nothing here is random: the source's phase and noise come from
the caller, and so does all state.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.config import VocoderConfig


class NormedConv(nn.Conv1d):
    """A convolution stored with weight norm."""

    weight_normed = True


class NormedConvTranspose(nn.ConvTranspose1d):
    """A transposed convolution stored with weight norm: a matrix product and an overlapping sum.

    torch's own goes through oneDNN, which takes up to 0.3 s to prepare itself for every new length of window.
    """

    weight_normed = True

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002 (torch's signature)
        """`[1, channels, n]` → `[1, out_channels, (n - 1) stride + kernel - 2 padding]`."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        length = (x.shape[-1] - 1) * stride + kernel - 2 * padding
        columns = self.weight.flatten(1).mT @ x
        summed = F.fold(columns, (1, length), (1, kernel), stride=(1, stride), padding=(0, padding))
        return summed[:, :, 0] + cast(Tensor, self.bias)[:, None]


class Snake(nn.Module):
    """x + sin²(αx) / α, α learnt for each channel (arXiv:2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`[1, channels, n]`, shape kept."""
        alpha = self.alpha[:, None]
        return x + (1.0 / (alpha + 1e-9)) * torch.sin(x * alpha).square()  # type: ignore[no-any-return]


class ResBlock(nn.Module):
    """Pairs of convolutions, the first of each dilated, behind Snakes and beside residuals."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            NormedConv(channels, channels, kernel, dilation=d, padding=(kernel - 1) * d // 2) for d in dilations
        )
        self.convs2 = nn.ModuleList(
            NormedConv(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, channels, n]`, shape kept."""
        for snake1, conv1, snake2, conv2 in zip(
            self.activations1, self.convs1, self.activations2, self.convs2, strict=True
        ):
            x = conv2(snake2(conv1(snake1(x)))) + x
        return x


class F0Predictor(nn.Module):
    """Fundamental frequency in Hz, `[1, frames]`, of mel frames `[1, 80, frames]`."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        widths = [config.in_channels, *([config.f0_cond_channels] * 5)]
        layers: list[nn.Module] = []
        for width, width_out in pairwise(widths):
            layers += [NormedConv(width, width_out, 3, padding=1), nn.ELU()]
        self.condnet = nn.Sequential(*layers)
        self.classifier = nn.Linear(config.f0_cond_channels, 1)

    def forward(self, mels: Tensor) -> Tensor:
        """See the class."""
        f0: Tensor = self.classifier(self.condnet(mels).mT).squeeze(-1).abs()
        return f0


class SourceMixer(nn.Module):
    """The harmonics' waves `[1, harmonics, n]` as one excitation `[1, n]`."""

    def __init__(self, harmonics: int) -> None:
        super().__init__()
        self.l_linear = nn.Linear(harmonics, 1)

    def forward(self, waves: Tensor) -> Tensor:
        """See the class."""
        return torch.tanh(self.l_linear(waves.mT)).squeeze(-1)


class HiFT(nn.Module):
    """The generator. `decode` is a function of a window of mel frames and the source over the same time."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        base, bins = config.base_channels, config.n_fft + 2
        widths = [base // 2**i for i in range(len(config.upsample_rates) + 1)]
        self.f0_predictor = F0Predictor(config)
        self.m_source = SourceMixer(config.nb_harmonics + 1)
        self.conv_pre = NormedConv(config.in_channels, base, 7, padding=3)
        self.ups = nn.ModuleList(
            NormedConvTranspose(widths[i], widths[i + 1], kernel, rate, padding=(kernel - rate) // 2)
            for i, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True))
        )
        self.source_downs = nn.ModuleList(
            nn.Conv1d(bins, width, 2 * rate, rate, padding=rate // 2) if rate > 1 else nn.Conv1d(bins, width, 1)
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
        self.conv_post = NormedConv(widths[-1], bins, 7, padding=3)

    def decode(self, mels: Tensor, source: Tensor) -> Tensor:
        """Samples `[1, 480 n]` of mel frames `[1, 80, n]` and their source `[1, 480 n]`.

        Both ends are treated as the ends of the sound: within `receptive_frames` of them the samples of a
        window differ from those of the whole.
        """
        config = self.config
        n_fft, hop = config.n_fft, config.hop
        hann = torch.hann_window(n_fft, device=mels.device)
        spectrum = torch.stft(source, n_fft, hop, n_fft, hann, return_complex=True)
        excitation = torch.cat((spectrum.real, spectrum.imag), dim=1)
        kernels = len(config.resblock_kernel_sizes)
        x = self.conv_pre(mels)
        for i, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, config.lrelu_slope))
            if i == len(self.ups) - 1:
                x = F.pad(x, (1, 0), mode="reflect")
            x = x + self.source_resblocks[i](self.source_downs[i](excitation))
            first, *others = self.resblocks[i * kernels : (i + 1) * kernels]
            mixed = first(x)
            for block in others:
                mixed = mixed + block(x)
            x = mixed / kernels
        x = self.conv_post(F.leaky_relu(x))
        magnitude, phase = x[:, : n_fft // 2 + 1].exp().clamp(max=1e2), x[:, n_fft // 2 + 1 :].sin()
        wave = torch.istft(torch.polar(magnitude, phase), n_fft, hop, n_fft, hann)
        return wave.clamp(-config.audio_limit, config.audio_limit)


def source_rates(config: VocoderConfig) -> list[int]:
    """How many STFT frames of the source fall on one position of each upsampling stage."""
    return [math.prod(config.upsample_rates[i + 1 :]) for i in range(len(config.upsample_rates))]


def receptive_frames(config: VocoderConfig) -> int:
    """Mel frames on either side that a sample depends on, at most; exact context for a window of `decode`.

    Counted backwards from the samples, in units of mel frames: through the mel path, and through the source,
    which depends on five more frames by way of F0.
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
    """Positions on either side that one output of a `ResBlock` depends on."""
    return sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)
