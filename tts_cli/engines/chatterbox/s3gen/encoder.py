"""The encoder of the flow: it turns embedded speech tokens, 25 a second, into hidden frames, 50 a second.

It consists of Conformer blocks without their convolution, which are transformer blocks with relative positions, then a
twofold upsampling, then more such blocks. Attention is bidirectional. Before the blocks, a convolution sees `LOOKAHEAD`
tokens ahead.

References
----------
The results and the names of parameters are those of `UpsampleConformerEncoder` in chatterbox-tts 0.1.7
(models/s3gen/transformer/upsample_encoder.py), for one utterance without padding. Relative positions: Dai et al. 2019,
arXiv:1901.02860, section 3.3.
"""

from __future__ import annotations

import math
from typing import Final, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, LayerNorm, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.s3gen.past import NoPast
from tts_cli.engines.chatterbox.weights.config import EncoderConfig

LOOKAHEAD: Final = 3
"""How many tokens ahead the first convolution sees. After the last token it sees zeros."""
UPSAMPLING: Final = 2
"""Frames for each token."""


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
        """`attention.distance_keys` for the distances from seen − 1 down to 1 − n: `[1, heads, seen + n - 1, d]`."""
        ...


class Embed(TypedModule):
    """The linear map and the norm before a stack of blocks. The result is multiplied by √`output_size`."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.out = Sequential(Linear(input_size, output_size), LayerNorm(output_size))
        self.scale = math.sqrt(output_size)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, input_size]` → `[1, n, output_size]`."""
        return self.out(x) * self.scale


class PreLookahead(TypedModule):
    """Two convolutions with a residual. The first sees `LOOKAHEAD` positions ahead, the second sees two before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv1d(channels, channels, LOOKAHEAD + 1)
        self.conv2 = Conv1d(channels, channels, 3)

    def forward(self, x: Tensor, past: EncoderPast, ahead: int) -> Tensor:
        """`[1, n + ahead, channels]` → `[1, n, channels]`. After the `ahead` last positions it sees zeros."""
        y = F.leaky_relu(self.conv1(F.pad(x.mT, (0, LOOKAHEAD - ahead))))
        return x[:, : y.shape[-1]] + self.conv2(past.with_tail(y, 2)).mT


class Upsample(TypedModule):
    """Repeats every position, and smooths the result with a causal convolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Conv1d(channels, out_channels, 2 * UPSAMPLING + 1)

    def forward(self, x: Tensor, past: EncoderPast) -> Tensor:
        """`[1, n, channels]` → `[1, 2n, out_channels]`."""
        repeated = x.mT.repeat_interleave(UPSAMPLING, dim=-1)
        return self.conv(past.with_tail(repeated, 2 * UPSAMPLING)).mT


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


class PositionwiseFeedForward(TypedModule):
    """Two linear maps with SiLU between them."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.w_1 = Linear(size, hidden)
        self.w_2 = Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, size]` → the same shape."""
        return self.w_2(F.silu(self.w_1(x)))


class ConformerBlock(TypedModule):
    """Attention and feed-forward, each with a norm before it and a residual around both."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.self_attn = RelativeAttention(size, config.attention_heads, config.key_bias)
        self.feed_forward = PositionwiseFeedForward(size, config.linear_units)
        self.norm_ff = LayerNorm(size, eps=1e-12)
        self.norm_mha = LayerNorm(size, eps=1e-12)

    def forward(self, x: Tensor, past: EncoderPast) -> Tensor:
        """`[1, n, size]` → the same shape."""
        x = x + self.self_attn(self.norm_mha(x), past)
        return x + self.feed_forward(self.norm_ff(x))


class Encoder(TypedModule):
    """The encoder of the flow.

    Parameters
    ----------
    config
        Its sizes.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.embed = Embed(config.input_size, size)
        self.pre_lookahead_layer = PreLookahead(size)
        self.encoders = nn.ModuleList([ConformerBlock(config) for _ in range(config.num_blocks)])
        self.up_layer = Upsample(size, config.input_size)
        self.up_embed = Embed(config.input_size, size)
        self.up_encoders = nn.ModuleList([ConformerBlock(config) for _ in range(config.num_up_blocks)])
        self.after_norm = LayerNorm(size)

    def attentions(self) -> list[RelativeAttention]:
        """The attentions of all blocks, in the order in which they are computed."""
        return [cast(ConformerBlock, block).self_attn for block in (*self.encoders, *self.up_encoders)]

    def positions_per_token(self) -> list[int]:
        """How many positions a token has in each of the `attentions`."""
        return [1] * len(self.encoders) + [UPSAMPLING] * len(self.up_encoders)

    def forward(self, embedded: Tensor, past: EncoderPast, ahead: int = 0) -> Tensor:
        """Compute hidden frames.

        Parameters
        ----------
        embedded
            Embedded tokens `[1, n + ahead, input_size]`.
        past
            What the layers need of earlier tokens.
        ahead
            How many of the tokens, at most `LOOKAHEAD`, only serve as lookahead.

        Returns
        -------
        Tensor
            `[1, 2n, output_size]`.
        """
        x = self.pre_lookahead_layer(self.embed(embedded), past, ahead)
        for block in self.encoders:
            x = block(x, past)
        x = self.up_embed(self.up_layer(x, past))
        for block in self.up_encoders:
            x = block(x, past)
        return self.after_norm(x)


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
