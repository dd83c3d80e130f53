"""Each streaming layer gives what torch's own gives for the whole, however the input comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tts_cli.engines.chatterbox.s3gen.streaming import (
    StreamedConv,
    StreamedConvTranspose,
    StreamedReflection,
    StreamedSum,
    Tails,
)

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=6)
Step = Callable[[Tensor, Tails, bool], Tensor]


def signal(sizes: list[int], channels: int = 2) -> Tensor:
    return torch.randn(1, channels, sum(sizes), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def streamed(step: Step, x: Tensor, sizes: list[int]) -> Tensor:
    tails: Tails = {}
    pieces = torch.split(x, sizes, dim=2)
    return torch.cat([step(piece, tails, n == len(pieces) - 1) for n, piece in enumerate(pieces)], dim=2)


@given(
    sizes=SIZES,
    kernel=st.integers(1, 7),
    dilation=st.integers(1, 3),
    stride=st.integers(1, 4),
    padding=st.integers(0, 9),
)
@settings(max_examples=150)
@torch.inference_mode()
def test_convolution(sizes: list[int], kernel: int, dilation: int, stride: int, padding: int) -> None:
    x = signal(sizes)
    assume(x.shape[2] + 2 * padding > (kernel - 1) * dilation >= stride - 1)
    conv = nn.Conv1d(2, 3, kernel, stride, dilation=dilation, dtype=torch.float64)
    expected = conv(F.pad(x, (padding, padding)))
    torch.testing.assert_close(streamed(partial(StreamedConv(conv, padding), conv), x, sizes), expected)


@torch.inference_mode()
def test_in_one_piece_a_streamed_convolution_is_the_convolution_that_pads_itself() -> None:
    """To the last bit, for widths at which torch's algorithm depends on who pads."""
    generator = torch.Generator().manual_seed(0)
    for width, kernel, dilation in ((64, 11, 5), (128, 7, 3), (256, 3, 1)):
        padding = (kernel - 1) * dilation // 2
        conv = nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation)
        x = torch.randn(1, width, 400, generator=generator)
        assert torch.equal(StreamedConv(conv, padding)(conv, x, {}, True), conv(x))


@given(sizes=SIZES, stride=st.integers(1, 5), more=st.integers(0, 9), data=st.data())
@settings(max_examples=150)
@torch.inference_mode()
def test_transposed_convolution(sizes: list[int], stride: int, more: int, data: st.DataObject) -> None:
    padding = data.draw(st.integers(0, more))
    x = signal(sizes)
    assume((x.shape[2] - 1) * stride + stride + more > 2 * padding)
    assume(x.shape[2])
    layer = nn.ConvTranspose1d(2, 3, stride + more, stride, padding, dtype=torch.float64)
    streamed_conv = StreamedConvTranspose(3, stride + more, stride, padding)
    torch.testing.assert_close(streamed(partial(streamed_conv, layer), x, sizes), layer(x))


@given(sizes=SIZES, delays=st.lists(st.integers(0, 5), min_size=1, max_size=3))
@settings(max_examples=60)
def test_sum(sizes: list[int], delays: list[int]) -> None:
    """Streams that are as many positions late as `delays` say."""
    x, add, at = signal(sizes), StreamedSum(), 0
    tails: Tails = {}
    pieces, ends = [], [0] * len(delays)
    for number, size in enumerate(sizes):
        at += size
        late = [at if number == len(sizes) - 1 else max(end, at - d) for d, end in zip(delays, ends, strict=True)]
        pieces.append(add(*(x[..., a:b] * n for n, (a, b) in enumerate(zip(ends, late, strict=True), 1)), tails=tails))
        ends = late
    torch.testing.assert_close(torch.cat(pieces, dim=2), x * sum(range(1, len(delays) + 1)))


@given(sizes=SIZES)
@settings(max_examples=60)
def test_reflection(sizes: list[int]) -> None:
    assume(sum(sizes) > 1)
    x, reflection = signal(sizes), StreamedReflection()
    assert torch.equal(streamed(lambda y, tails, _: reflection(y, tails), x, sizes), F.pad(x, (1, 0), mode="reflect"))


@torch.inference_mode()
def test_a_copy_of_the_tails_is_a_copy_of_the_past() -> None:
    conv = nn.Conv1d(1, 1, 5)
    streamed_conv, x = StreamedConv(conv, 2), torch.randn(1, 1, 12)
    tails: Tails = {}
    streamed_conv(conv, x[..., :6], tails, False)
    past = tails.copy()
    first = streamed_conv(conv, x[..., 6:], tails, True)
    streamed_conv(conv, -x, past.copy(), False)
    assert torch.equal(streamed_conv(conv, x[..., 6:], past, True), first)
