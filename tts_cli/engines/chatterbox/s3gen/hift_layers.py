"""The layers of HiFT. Its convolutions do not pad by themselves: `streaming.StreamedConv` does it for them.

References
----------
The results and the names of parameters are those of chatterbox-tts 0.1.7 (models/s3gen/hifigan.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, ConvTranspose1d, TypedModule
from tts_cli.engines.chatterbox.s3gen.streaming import StreamedConv, StreamedSum, Tails


class NormedConv(Conv1d):
    """A convolution whose weight is stored with weight norm (arXiv:1602.07868)."""

    weight_normed = True


class RowConv(NormedConv):
    """A convolution without stride or dilation, computed as a matrix product with one row for each position.

    In float64, torch's own takes twice as long, and four times as long for two positions.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`[1, channels, n]` → `[1, out_channels, n - kernel + 1]`."""
        rows = x[0].unfold(1, self.kernel_size[0], 1).transpose(0, 1).flatten(1)
        return F.linear(rows, self.weight.flatten(1), self.bias).mT[None]


class NormedConvTranspose(ConvTranspose1d):
    """A transposed convolution whose weight is stored with weight norm: a matrix product and an overlapping sum.

    torch's own uses oneDNN, which takes up to 0.3 s to prepare for each new length. The sum equals that of `F.fold` to
    the last bit; `F.fold` does not exist on MPS.
    """

    weight_normed = True

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002 (torch's signature)
        """`[1, channels, n]` → `[1, out_channels, (n - 1) stride + kernel - 2 padding]`."""
        columns = (x.mT @ self.weight.flatten(1)).mT  # the weight is not copied, which is faster for few positions
        summed = overlapped(columns[0], self.kernel_size[0], self.stride[0], int(self.padding[0]))
        return summed[None] + cast(Tensor, self.bias)[:, None]


def overlapped(columns: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Add n pieces, each of which begins `stride` positions after the one before it.

    Parameters
    ----------
    columns
        The pieces, `[channels * kernel, n]`.
    kernel
        Positions in a piece.
    stride
        Positions from the beginning of a piece to that of the next.
    padding
        How many positions are cut off at each end.

    Returns
    -------
    Tensor
        `[channels, (n - 1) * stride + kernel - 2 * padding]`.

    Examples
    --------
    >>> overlapped(torch.ones(3, 3), kernel=3, stride=1, padding=0)
    tensor([[1., 2., 3., 2., 1.]])
    """
    n, parts = columns.shape[1], math.ceil(kernel / stride)
    pieces = F.pad(columns.view(-1, kernel, n), (0, 0, 0, parts * stride - kernel)).view(-1, parts, stride, n)
    total = F.pad(pieces[:, 0], (0, parts - 1))
    for part in range(1, parts):
        total[..., part : part + n] += pieces[:, part]
    return total.mT.flatten(1)[:, padding : (n - 1) * stride + kernel - padding]


class Snake(TypedModule):
    """The activation x + sin²(αx) / α, with an α learnt for each channel (Ziyin et al. 2020, arXiv:2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`[1, channels, n]` → the same shape."""
        alpha = self.alpha[:, None]
        # In place, because half of the vocoder's layers are such activations.
        return (x * alpha).sin_().square_().mul_(1.0 / (alpha + 1e-9)).add_(x)


class ResBlock(TypedModule):
    """Pairs of convolutions, each with a `Snake` before it, and with a residual around each pair.

    Parameters
    ----------
    channels
        Channels of input and output.
    kernel
        The width of all convolutions.
    dilations
        For each pair, the dilation of its first convolution.
    """

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(NormedConv(channels, channels, kernel, dilation=d) for d in dilations)
        self.convs2 = nn.ModuleList(NormedConv(channels, channels, kernel) for _ in dilations)
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.streamed1, self.streamed2 = same_length(self.convs1), same_length(self.convs2)
        self.sums = [StreamedSum() for _ in dilations]

    def forward(self, x: Tensor, tails: Tails, final: bool) -> Tensor:
        """Compute the output positions that the next input positions make possible.

        Parameters
        ----------
        x
            The next input positions, `[1, channels, n]`.
        tails
            The state, which this changes.
        final
            Whether the sound ends with them.

        Returns
        -------
        Tensor
            `[1, channels, m]`; m may be 0.
        """
        for snake1, conv1, streamed1, snake2, conv2, streamed2, add in zip(
            *(self.activations1, self.convs1, self.streamed1),
            *(self.activations2, self.convs2, self.streamed2),
            self.sums,
            strict=True,
        ):
            y = streamed1(conv1, snake1(x), tails, final)
            x = add(streamed2(conv2, snake2(y), tails, final), x, tails=tails)
        return x


def same_length(convs: Iterable[nn.Module]) -> list[StreamedConv]:
    """Stream convolutions with so much padding that their output is as long as their input."""
    return [
        StreamedConv(conv, (conv.kernel_size[0] - 1) * conv.dilation[0] // 2) for conv in cast(Iterable[Conv1d], convs)
    ]
