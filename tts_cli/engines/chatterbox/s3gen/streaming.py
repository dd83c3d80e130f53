"""Layers over a stream that comes in pieces: each position is computed once, whatever the pieces.

A layer keeps the end of its input, as much as it will need again. What all layers of a network keep of one
sound is a `Tails`; tensors in it are replaced, never written to, so a copy of the dictionary is a copy of the
whole past. A layer that is not in it stands at the start of the sound. With `final` nothing follows: the sound
ends as it would if it had been computed in one piece. Streams are tensors `[1, channels, positions]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Tails: TypeAlias = dict[object, Tensor]
"""What each layer needs again of what it has seen."""
Layer: TypeAlias = Callable[[Tensor], Tensor]
"""A stateless map of a window of positions."""


class Slide:
    """A convolution's way over a stream with `padding` zeros in front of it and behind it.

    The convolution itself does not pad, and its stride passes over no position. It is given anew with each
    call, so that it may be any module that computes the same.
    """

    def __init__(self, conv: nn.Conv1d, padding: int) -> None:
        self.span = (conv.kernel_size[0] - 1) * conv.dilation[0] + 1
        self.stride = conv.stride[0]
        self.channels = conv.out_channels
        self.padding = padding

    def __call__(self, conv: Layer, x: Tensor, tails: Tails, final: bool) -> Tensor:
        """The positions of the output that `x`, the next positions of the input, makes possible."""
        before = tails.get(self)
        if before is None:
            if final and x.shape[2] and x.shape[2] + 2 * self.padding >= self.span and _plain(conv):
                # In one piece. Padding inside of torch's convolution and in front of it differ in the last bit.
                return F.conv1d(x, conv.weight, conv.bias, conv.stride, self.padding, conv.dilation)
            before = x.new_zeros(1, x.shape[1], self.padding)
        behind = [x.new_zeros(1, x.shape[1], self.padding)] if final else []
        window = torch.cat((before, x, *behind), dim=2)
        count = max(0, (window.shape[2] - self.span) // self.stride + 1)
        tails[self] = window[..., count * self.stride :].clone()
        return conv(window) if count else x.new_empty(1, self.channels, 0)


class Spread:
    """The way back: each input position adds to `kernel` output positions, `stride` further on each time.

    `padding` output positions are cut off at both ends of the sound, by the layer itself: it maps w positions
    to `(w - 1) stride + kernel - 2 padding`, as a transposed convolution does.
    """

    def __init__(self, channels: int, kernel: int, stride: int, padding: int) -> None:
        self.channels, self.kernel, self.stride, self.padding = channels, kernel, stride, padding
        self.again = (kernel - 1) // stride
        """Inputs that reach beyond the first output of the one behind them."""

    def __call__(self, layer: Layer, x: Tensor, tails: Tails, final: bool) -> Tensor:
        """The positions of the output to which nothing will be added after `x`."""
        before = tails.get(self)
        known = 0 if before is None else before.shape[2]
        window = x if before is None else torch.cat((before, x), dim=2)
        width = window.shape[2]
        begin = max(0, known * self.stride - self.padding)
        end = width * self.stride - self.padding
        if final:
            end += self.kernel - self.stride - self.padding
        tails[self] = window[..., max(0, width - self.again) :].clone()
        return layer(window)[..., begin:end] if end > begin else x.new_empty(1, self.channels, 0)


class Sum:
    """Streams of different delay, added position by position: those that are ahead wait for the last."""

    def __call__(self, *streams: Tensor, tails: Tails) -> Tensor:
        """The sums that the next positions of all `streams` make possible."""
        keys = [(self, number) for number in range(len(streams))]
        known = [_joined(tails.get(key), x) for key, x in zip(keys, streams, strict=True)]
        count = min(x.shape[2] for x in known)
        tails.update((key, x[..., count:].clone()) for key, x in zip(keys, known, strict=True))
        first, *others = known
        total = first[..., :count]
        for x in others:
            total = total + x[..., :count]
        return total


class Mirror:
    """A stream with its second position put in front of its first, as `F.pad(x, (1, 0), mode="reflect")` does."""

    def __call__(self, x: Tensor, tails: Tails) -> Tensor:
        """`x`; at the start, as soon as two positions are known, with the one in front of it."""
        held = tails.get(self)
        if x.shape[2] == 0 or (held is not None and held.shape[2] == 0):
            return x
        x = _joined(held, x)
        started = x.shape[2] > 1
        tails[self] = x.new_empty(1, x.shape[1], 0) if started else x
        return torch.cat((x[..., 1:2], x), dim=2) if started else x[..., :0]


def _plain(conv: Layer) -> TypeGuard[nn.Conv1d]:
    """Whether it is computed as torch does it."""
    return isinstance(conv, nn.Conv1d) and type(conv).forward is nn.Conv1d.forward


def _joined(before: Tensor | None, x: Tensor) -> Tensor:
    return x if before is None or before.shape[2] == 0 else torch.cat((before, x), dim=2)
