"""Attention with relative positions, as the encoder of the flow uses it, and the past that such attention needs.

References
----------
Dai et al. 2019, arXiv:1901.02860, section 3.3.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Linear, TypedModule
from tts_cli.engines.chatterbox.s3gen.past import NoPast


class EncoderPast(Protocol):
    """The past of the encoder. Like `past.Past`, but attention needs the distances between positions."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        ...

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put the keys and values of visible earlier positions before those of n new positions.

        Parameters
        ----------
        key, value
            Those of the new positions, `[1, heads, n, d]`.

        Returns
        -------
        key, value : Tensor
            `[1, heads, seen, d]`; `seen` counts the new positions, too.
        """
        ...

    def distance_keys(self, attention: RelativeAttention, n: int, seen: int) -> Tensor:
        """Give the distance keys of an attention, for the distances from seen − 1 down to 1 − n.

        Parameters
        ----------
        attention
            The attention, which has called `recall` last.
        n
            How many new positions there are.
        seen
            How many positions are visible, the new ones included.

        Returns
        -------
        Tensor
            What `attention.distance_keys` returns, `[1, heads, seen + n - 1, d]`.
        """
        ...


class RelativeAttention(TypedModule):
    """Self-attention with relative positions.

    The score of a query q and a key k is (q + u)·k + (q + v)·p, divided by √d. p is the distance key for the distance
    between the two positions; u and v are learnt.

    Parameters
    ----------
    size
        The width of the stream.
    heads
        The number of heads, each with d = `size` / `heads`.
    key_bias
        Whether the map of the keys has a bias.

    References
    ----------
    Dai et al. 2019, arXiv:1901.02860, section 3.3.
    """

    def __init__(self, size: int, heads: int, key_bias: bool) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.linear_q = Linear(size, size)
        self.linear_k = Linear(size, size, bias=key_bias)
        self.linear_v = Linear(size, size)
        self.linear_out = Linear(size, size)
        self.linear_pos = Linear(size, size, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, size // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, size // heads))

    def _split(self, x: Tensor) -> Tensor:
        """`[1, n, size]` → `[1, heads, n, d]`."""
        return x.view(1, x.shape[1], self.heads, -1).transpose(1, 2)

    def distance_keys(self, embedded: Tensor) -> Tensor:
        """The distance keys `[1, heads, m, d]` for m distances, embedded as in `sinusoids`, `[1, m, size]`."""
        return self._split(self.linear_pos(embedded))

    def forward(self, x: Tensor, past: EncoderPast) -> Tensor:
        """`[1, n, size]` → the same shape."""
        n = x.shape[1]
        query, key, value = (self._split(linear(x)) for linear in (self.linear_q, self.linear_k, self.linear_v))
        key, value = past.recall(key, value)
        seen = key.shape[2]
        distances = past.distance_keys(self, n, seen)
        by_distance = (query + self.pos_bias_v[:, None]) @ distances.mT / math.sqrt(query.shape[-1])
        # In row i of `by_distance`, column c is the distance seen - 1 - c. Key j has the distance seen - n + i - j from
        # query i, and so the column n - 1 - i + j. A view with these strides selects it without a copy.
        row = seen + n - 1
        shifted = by_distance.contiguous().as_strided(
            (1, self.heads, n, seen), (self.heads * n * row, n * row, row - 1, 1), n - 1
        )
        mixed = F.scaled_dot_product_attention(query + self.pos_bias_u[:, None], key, value, attn_mask=shifted)
        return self.linear_out(mixed.transpose(1, 2).flatten(2))


class NoEncoderPast(NoPast):
    """The past of the encoder at the start."""

    def __init__(self) -> None:
        self._embedded: dict[int, Tensor] = {}
        """The embedded distances by the number of positions; all layers of one rate use the same."""

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See `EncoderPast`."""
        return key, value

    def distance_keys(self, attention: RelativeAttention, n: int, seen: int) -> Tensor:
        """See `EncoderPast`."""
        if n not in self._embedded:
            like = attention.linear_pos.weight
            self._embedded[n] = sinusoids(seen - 1, 1 - n, attention.size, like.device)
        return attention.distance_keys(self._embedded[n])


def sinusoids(farthest: int, nearest: int, size: int, device: torch.device) -> Tensor:
    """Embed the distances from `farthest` down to `nearest`: sines and cosines of `size` / 2 frequencies, in turn.

    Parameters
    ----------
    farthest, nearest
        The first distance and the last, in positions.
    size
        The width of an embedding; even.
    device
        Where the result is.

    Returns
    -------
    Tensor
        Float32 `[1, farthest - nearest + 1, size]`.

    References
    ----------
    Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    Examples
    --------
    >>> sinusoids(1, -1, 4, torch.device("cpu")).shape
    torch.Size([1, 3, 4])
    """
    distance = torch.arange(farthest, nearest - 1, -1, dtype=torch.float32, device=device)[:, None]
    frequency = torch.exp(torch.arange(0, size, 2, dtype=torch.float32, device=device) * -(math.log(10_000.0) / size))
    angle = distance * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[None]
