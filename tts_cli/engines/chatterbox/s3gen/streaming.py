"""Layers that are computed over a stream in pieces: each position is computed once, wherever the pieces are cut.

A stream is a tensor `[1, channels, positions]` that comes in pieces. A layer stores the tail of its input, which it
needs again. A `Tails` holds the tails of all layers of a network for one sound; a layer that is not in it is at the
start of the sound. Tensors in it are replaced and never changed, so a copy of the dictionary is a copy of the state.
With `final`, no piece follows, and the end is computed as it would be in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Tails: TypeAlias = dict[object, Tensor]
"""The tail of each layer's input, `[1, channels, positions]`, by the layer."""
Layer: TypeAlias = Callable[[Tensor], Tensor]
"""A layer without state: it maps the positions of a window."""


class StreamedConv:
    """A convolution over a stream, with `padding` zeros before its start and after its end.

    Parameters
    ----------
    conv
        Gives the sizes. It must not pad by itself, and its stride must not skip positions.
    padding
        The number of zeros at each end.

    Examples
    --------
    >>> conv = nn.Conv1d(1, 1, 3)
    >>> streamed, tails, x = StreamedConv(conv, 1), {}, torch.arange(10.0).view(1, 1, 10)
    >>> with torch.inference_mode():
    ...     pieces = [streamed(conv, x[..., :4], tails, False), streamed(conv, x[..., 4:], tails, True)]
    ...     torch.allclose(torch.cat(pieces, dim=2), conv(nn.functional.pad(x, (1, 1))))
    True
    """

    def __init__(self, conv: nn.Conv1d, padding: int) -> None:
        self.span = (conv.kernel_size[0] - 1) * conv.dilation[0] + 1
        self.stride = conv.stride[0]
        self.channels = conv.out_channels
        self.padding = padding

    def __call__(self, conv: Layer, x: Tensor, tails: Tails, final: bool) -> Tensor:
        """Compute the output positions that the next input positions make possible.

        Parameters
        ----------
        conv
            The convolution, or a layer that has replaced it and has the same sizes.
        x
            The next positions of the input.
        tails
            The state, which this changes.
        final
            Whether the input ends with `x`.
        """
        before = tails.get(self)
        if before is None:
            if final and x.shape[2] and x.shape[2] + 2 * self.padding >= self.span and _plain(conv):
                # In one piece, torch's convolution pads, as it does upstream: padding before it gives other last bits.
                return F.conv1d(x, conv.weight, conv.bias, conv.stride, self.padding, conv.dilation)
            before = x.new_zeros(1, x.shape[1], self.padding)
        after = [x.new_zeros(1, x.shape[1], self.padding)] if final else []
        window = torch.cat((before, x, *after), dim=2)
        count = max(0, (window.shape[2] - self.span) // self.stride + 1)
        tails[self] = window[..., count * self.stride :].clone()
        return conv(window) if count else x.new_empty(1, self.channels, 0)


class StreamedConvTranspose:
    """A transposed convolution over a stream.

    Each input position adds to `kernel` output positions, which begin `stride` after those of the position before.

    Parameters
    ----------
    channels
        Channels of the output.
    kernel, stride, padding
        As in `torch.nn.ConvTranspose1d`. The layer itself cuts off `padding` positions at each end, so it maps w
        positions to (w − 1) · stride + kernel − 2 · padding.
    """

    def __init__(self, channels: int, kernel: int, stride: int, padding: int) -> None:
        self.channels, self.kernel, self.stride, self.padding = channels, kernel, stride, padding
        self.again = (kernel - 1) // stride
        """How many of the last inputs still add to output positions that later inputs add to."""

    def __call__(self, layer: Layer, x: Tensor, tails: Tails, final: bool) -> Tensor:
        """Compute the output positions to which nothing after `x` adds. The parameters are those of `StreamedConv`."""
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


class StreamedSum:
    """The sum of several streams, position by position. Streams that are ahead wait for the others.

    Examples
    --------
    >>> total, tails = StreamedSum(), {}
    >>> ahead, late = torch.ones(1, 1, 5), torch.ones(1, 1, 2)
    >>> total(ahead, late, tails=tails).shape
    torch.Size([1, 1, 2])
    >>> total(ahead[..., :0], torch.ones(1, 1, 3), tails=tails).shape
    torch.Size([1, 1, 3])
    """

    def __call__(self, *streams: Tensor, tails: Tails) -> Tensor:
        """Compute the sums that the next positions of all `streams` make possible. Changes `tails`."""
        keys = [(self, number) for number in range(len(streams))]
        known = [_joined(tails.get(key), x) for key, x in zip(keys, streams, strict=True)]
        count = min(x.shape[2] for x in known)
        tails.update((key, x[..., count:].clone()) for key, x in zip(keys, known, strict=True))
        first, *others = known
        total = first[..., :count]
        for x in others:
            total = total + x[..., :count]
        return total


class StreamedReflection:
    """A stream whose second position is put before its first, as by `F.pad(x, (1, 0), mode="reflect")`."""

    def __call__(self, x: Tensor, tails: Tails) -> Tensor:
        """Return `x`. At the start, wait for two positions, and put the second before the first. Changes `tails`."""
        held = tails.get(self)
        if x.shape[2] == 0 or (held is not None and held.shape[2] == 0):
            return x
        x = _joined(held, x)
        started = x.shape[2] > 1
        tails[self] = x.new_empty(1, x.shape[1], 0) if started else x
        return torch.cat((x[..., 1:2], x), dim=2) if started else x[..., :0]


def _plain(conv: Layer) -> TypeGuard[nn.Conv1d]:
    """Whether torch's own convolution computes it."""
    return isinstance(conv, nn.Conv1d) and type(conv).forward is nn.Conv1d.forward


def _joined(before: Tensor | None, x: Tensor) -> Tensor:
    return x if before is None or before.shape[2] == 0 else torch.cat((before, x), dim=2)
