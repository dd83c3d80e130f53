"""HiFT, the vocoder's networks: mel frames and a harmonic source to samples, as they come.

A neural source filter with an inverse STFT at its end (HiFTNet, arXiv:2309.09493). Computes what
`HiFTGenerator` and `ConvRNNF0Predictor` of chatterbox-tts 0.1.7 do (models/s3gen/hifigan.py,
f0_predictor.py), with their parameter names. Nothing here is random: the source's phase and noise come from
the caller, and so does all state (`Tails`). Convolutions do not pad: `streaming.Slide` does it for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, ConvTranspose1d, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.s3gen.streaming import Mirror, Slide, Spread, Sum, Tails
from tts_cli.engines.chatterbox.weights.config import VocoderConfig


class NormedConv(Conv1d):
    """A convolution stored with weight norm."""

    weight_normed = True


class RowConv(NormedConv):
    """A convolution without stride or dilation as a matrix product of rows, its positions.

    torch's own takes twice as long in float64, and four times as long for two positions.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`[1, channels, n]` → `[1, out_channels, n - kernel + 1]`."""
        rows = x[0].unfold(1, self.kernel_size[0], 1).transpose(0, 1).flatten(1)
        return F.linear(rows, self.weight.flatten(1), self.bias).mT[None]


class NormedConvTranspose(ConvTranspose1d):
    """A transposed convolution stored with weight norm: a matrix product and an overlapping sum.

    torch's own goes through oneDNN, which takes up to 0.3 s to prepare itself for every new length of window. The sum
    is `F.fold`'s to the last bit, which is not there on MPS.
    """

    weight_normed = True

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002 (torch's signature)
        """`[1, channels, n]` → `[1, out_channels, (n - 1) stride + kernel - 2 padding]`."""
        columns = (x.mT @ self.weight.flatten(1)).mT  # the weight as it lies in memory: faster for few positions
        summed = overlapped(columns[0], self.kernel_size[0], self.stride[0], int(self.padding[0]))
        return summed[None] + cast(Tensor, self.bias)[:, None]


def overlapped(columns: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The sum `[channels, (n - 1) stride + kernel - 2 padding]` of n pieces, each `stride` further on.

    `columns` is `[channels * kernel, n]`; `padding` positions are cut off at both ends.
    """
    n, parts = columns.shape[1], math.ceil(kernel / stride)
    pieces = F.pad(columns.view(-1, kernel, n), (0, 0, 0, parts * stride - kernel)).view(-1, parts, stride, n)
    total = F.pad(pieces[:, 0], (0, parts - 1))
    for part in range(1, parts):
        total[..., part : part + n] += pieces[:, part]
    return total.mT.flatten(1)[:, padding : (n - 1) * stride + kernel - padding]


class Snake(TypedModule):
    """x + sin²(αx) / α, α learnt for each channel (arXiv:2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`[1, channels, n]`, shape kept."""
        alpha = self.alpha[:, None]
        # In place, since half of the vocoder's layers are these.
        return (x * alpha).sin_().square_().mul_(1.0 / (alpha + 1e-9)).add_(x)


class ResBlock(TypedModule):
    """Pairs of convolutions, the first of each dilated, behind Snakes and beside residuals."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(NormedConv(channels, channels, kernel, dilation=d) for d in dilations)
        self.convs2 = nn.ModuleList(NormedConv(channels, channels, kernel) for _ in dilations)
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.slides1, self.slides2 = _same(self.convs1), _same(self.convs2)
        self.sums = [Sum() for _ in dilations]

    def forward(self, x: Tensor, tails: Tails, final: bool) -> Tensor:
        """`[1, channels, n]`, the next positions; shape kept but for the delay."""
        for snake1, conv1, slide1, snake2, conv2, slide2, add in zip(
            *(self.activations1, self.convs1, self.slides1),
            *(self.activations2, self.convs2, self.slides2),
            self.sums,
            strict=True,
        ):
            y = slide1(conv1, snake1(x), tails, final)
            x = add(slide2(conv2, snake2(y), tails, final), x, tails=tails)
        return x


class F0Predictor(TypedModule):
    """Fundamental frequency in Hz, `[1, frames]`, of mel frames `[1, 80, frames]`."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        widths = [config.in_channels, *([config.f0_cond_channels] * 5)]
        layers: list[nn.Module] = []
        for width, width_out in pairwise(widths):
            layers += [RowConv(width, width_out, 3), nn.ELU()]
        self.condnet = Sequential(*layers)
        self.classifier = Linear(config.f0_cond_channels, 1)
        self.slides = _same(self.condnet[::2])

    def forward(self, mels: Tensor, tails: Tails, final: bool) -> Tensor:
        """Of the next mel frames; the first comes when five more are known."""
        x = mels
        for conv, elu, slide in zip(self.condnet[::2], self.condnet[1::2], self.slides, strict=True):
            x = elu(slide(conv, x, tails, final))
        return self.classifier(x.mT).squeeze(-1).abs()


class SourceMixer(TypedModule):
    """The harmonics' waves `[1, harmonics, n]` as one excitation `[1, n]`."""

    def __init__(self, harmonics: int) -> None:
        super().__init__()
        self.l_linear = Linear(harmonics, 1)

    def forward(self, waves: Tensor) -> Tensor:
        """See the class."""
        return torch.tanh(self.l_linear(waves.mT)).squeeze(-1)


class SourceSpectrum:
    """The short-time spectrum of the source, mirrored at both ends."""

    def __init__(self, n_fft: int, hop: int) -> None:
        self.n_fft, self.hop = n_fft, hop

    def __call__(self, source: Tensor, tails: Tails, final: bool) -> Tensor:
        """Real and imaginary parts `[1, n_fft + 2, m]` that the next samples `[1, n]` make possible."""
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
    """The generator: a function of the next mel frames, the source's next samples and what came before."""

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
        self.slide_pre, self.slide_post = _same([self.conv_pre, self.conv_post])
        self.spreads = [Spread(up.out_channels, up.kernel_size[0], up.stride[0], up.padding[0]) for up in self.ups]
        self.slides_down = [
            Slide(conv, rate // 2) for conv, rate in zip(self.source_downs, source_rates(config), strict=True)
        ]
        self.mirror = Mirror()
        self.sums_source, self.sums_blocks = ([Sum() for _ in range(stages)] for _ in range(2))
        self.spread_wave = Spread(1, config.n_fft, config.hop, config.n_fft // 2)

    def forward(self, mels: Tensor, source: Tensor, tails: Tails, final: bool) -> Tensor:
        """The samples `[1, m]` that follow from the next mel frames `[1, 80, n]` and source samples `[1, k]`.

        The source may lag behind the mel frames. In the end all three are equally long: 480 samples a frame.
        """
        config = self.config
        excitation = self.spectrum(source, tails, final)
        x = self.slide_pre(self.conv_pre, mels, tails, final)
        kernels = len(config.resblock_kernel_sizes)
        for i, up in enumerate(self.ups):
            x = self.spreads[i](up, F.leaky_relu(x, config.lrelu_slope), tails, final)
            if i == len(self.ups) - 1:
                x = self.mirror(x, tails)
            driven = self.slides_down[i](self.source_downs[i], excitation, tails, final)
            x = self.sums_source[i](x, self.source_resblocks[i](driven, tails, final), tails=tails)
            blocks = self.resblocks[i * kernels : (i + 1) * kernels]
            x = self.sums_blocks[i](*(block(x, tails, final) for block in blocks), tails=tails) / kernels
        x = self.slide_post(self.conv_post, F.leaky_relu(x), tails, final)
        return self.spread_wave(self._wave, x, tails, final)[0]

    def _wave(self, x: Tensor) -> Tensor:
        """Samples `[1, 1, hop (n - 1)]` of log magnitudes and phases `[1, n_fft + 2, n]`."""
        n_fft, hop = self.config.n_fft, self.config.hop
        magnitude, phase = x[:, : n_fft // 2 + 1].exp().clamp(max=1e2), x[:, n_fft // 2 + 1 :].sin()
        wave = torch.istft(torch.polar(magnitude, phase), n_fft, hop, n_fft, torch.hann_window(n_fft, device=x.device))
        return wave.clamp(-self.config.audio_limit, self.config.audio_limit)[:, None]


def _same(convs: Iterable[nn.Module]) -> list[Slide]:
    """Slides of convolutions whose output is as long as their input."""
    return [Slide(conv, (conv.kernel_size[0] - 1) * conv.dilation[0] // 2) for conv in cast(Iterable[Conv1d], convs)]


def source_rates(config: VocoderConfig) -> list[int]:
    """How many STFT frames of the source fall on one position of each upsampling stage."""
    return [math.prod(config.upsample_rates[i + 1 :]) for i in range(len(config.upsample_rates))]


def receptive_frames(config: VocoderConfig) -> int:
    """Mel frames on either side that a sample depends on, at most: the network's delay.

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
