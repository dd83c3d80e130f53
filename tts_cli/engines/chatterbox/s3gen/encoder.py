"""The flow's encoder: speech tokens' embeddings at 25/s to hidden frames at 50/s.

Conformer blocks without their convolution, i.e. transformer blocks with relative positions (Dai et al. 2019,
arXiv:1901.02860, section 3.3), before and after a twofold upsampling. Computes what
`UpsampleConformerEncoder` of chatterbox-tts 0.1.7 does (models/s3gen/transformer/upsample_encoder.py), with
its parameter names, for one utterance without padding. Attention is bidirectional; the only other look ahead
is `LOOKAHEAD` tokens in front of the blocks.
"""

from __future__ import annotations

import math
from typing import Final, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, LayerNorm, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.s3gen.past import Nothing
from tts_cli.engines.chatterbox.weights.config import EncoderConfig

LOOKAHEAD: Final = 3
"""Tokens that the first convolution sees to the right; behind the last token it sees zeros."""
UPSAMPLING: Final = 2
"""Frames a token."""


class EncoderPast(Protocol):
    """What the encoder takes from the positions before: as `past.Past`, but its attention needs to know distances."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """`x` `[1, channels, n]` behind the `reach` positions before it: `[1, channels, reach + n]`."""
        ...

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[1, heads, n, d]` behind those they can see, `[1, heads, seen, d]`."""
        ...

    def toward(self, attention: RelativeAttention, n: int, seen: int) -> Tensor:
        """`attention.toward` of the distances from seen - 1 down to 1 - n."""
        ...


class Embed(TypedModule):
    """Linear map and norm in front of a stack of blocks, scaled by √width."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.out = Sequential(Linear(input_size, output_size), LayerNorm(output_size))
        self.scale = math.sqrt(output_size)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, input_size]` → `[1, n, output_size]`."""
        return self.out(x) * self.scale


class PreLookahead(TypedModule):
    """Two convolutions, residual: the first sees `LOOKAHEAD` positions ahead, the second two behind."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv1d(channels, channels, LOOKAHEAD + 1)
        self.conv2 = Conv1d(channels, channels, 3)

    def forward(self, x: Tensor, past: EncoderPast, ahead: int) -> Tensor:
        """`[1, n + ahead, channels]` → `[1, n, channels]`; behind the `ahead` positions it sees zeros."""
        y = F.leaky_relu(self.conv1(F.pad(x.mT, (0, LOOKAHEAD - ahead))))
        return x[:, : y.shape[-1]] + self.conv2(past.with_tail(y, 2)).mT


class Upsample(TypedModule):
    """Every position twice, smoothed by a causal convolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Conv1d(channels, out_channels, 2 * UPSAMPLING + 1)

    def forward(self, x: Tensor, past: EncoderPast) -> Tensor:
        """`[1, n, channels]` → `[1, 2n, out_channels]`."""
        repeated = x.mT.repeat_interleave(UPSAMPLING, dim=-1)
        return self.conv(past.with_tail(repeated, 2 * UPSAMPLING)).mT


class RelativeAttention(TypedModule):
    """Self-attention whose scores are (q + u)·k + (q + v)·p over the positions' distances."""

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
        """`[1, n, size]` → `[1, heads, n, size / heads]`."""
        return x.view(1, x.shape[1], self.heads, -1).transpose(1, 2)

    def toward(self, distances: Tensor) -> Tensor:
        """What scores by distance are made with: `[1, heads, m, size / heads]` of m distances `[1, m, size]`."""
        return self._split(self.linear_pos(distances))

    def forward(self, x: Tensor, past: EncoderPast) -> Tensor:
        """`x` `[1, n, size]`, shape kept."""
        n = x.shape[1]
        query, key, value = (self._split(linear(x)) for linear in (self.linear_q, self.linear_k, self.linear_v))
        key, value = past.recall(key, value)
        seen = key.shape[2]
        by_distance = (query + self.pos_bias_v[:, None]) @ past.toward(self, n, seen).mT / math.sqrt(query.shape[-1])
        # Row i of `by_distance` starts at distance seen - 1; its entry for key j lies at n - 1 - i + j.
        row = seen + n - 1
        shifted = by_distance.contiguous().as_strided(
            (1, self.heads, n, seen), (self.heads * n * row, n * row, row - 1, 1), n - 1
        )
        mixed = F.scaled_dot_product_attention(query + self.pos_bias_u[:, None], key, value, attn_mask=shifted)
        return self.linear_out(mixed.transpose(1, 2).flatten(2))


class FeedForward(TypedModule):
    """Two linear maps with SiLU between them."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.w_1 = Linear(size, hidden)
        self.w_2 = Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, size]`, shape kept."""
        return self.w_2(F.silu(self.w_1(x)))


class Block(TypedModule):
    """Attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.self_attn = RelativeAttention(size, config.attention_heads, config.key_bias)
        self.feed_forward = FeedForward(size, config.linear_units)
        self.norm_ff = LayerNorm(size, eps=1e-12)
        self.norm_mha = LayerNorm(size, eps=1e-12)

    def forward(self, x: Tensor, past: EncoderPast) -> Tensor:
        """`[1, n, size]`, shape kept."""
        x = x + self.self_attn(self.norm_mha(x), past)
        return x + self.feed_forward(self.norm_ff(x))


class Encoder(TypedModule):
    """Token embeddings `[1, n + ahead, input_size]` → hidden frames `[1, 2n, output_size]`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.embed = Embed(config.input_size, size)
        self.pre_lookahead_layer = PreLookahead(size)
        self.encoders = nn.ModuleList([Block(config) for _ in range(config.num_blocks)])
        self.up_layer = Upsample(size, config.input_size)
        self.up_embed = Embed(config.input_size, size)
        self.up_encoders = nn.ModuleList([Block(config) for _ in range(config.num_up_blocks)])
        self.after_norm = LayerNorm(size)

    def attentions(self) -> list[RelativeAttention]:
        """Its attentions in the order of their turns."""
        return [cast(Block, block).self_attn for block in (*self.encoders, *self.up_encoders)]

    def heights(self) -> list[int]:
        """Positions a token takes in each of them."""
        return [1] * len(self.encoders) + [UPSAMPLING] * len(self.up_encoders)

    def forward(self, embedded: Tensor, past: EncoderPast, ahead: int = 0) -> Tensor:
        """See the class; the last `ahead` tokens, at most `LOOKAHEAD`, are only looked at."""
        x = self.pre_lookahead_layer(self.embed(embedded), past, ahead)
        for block in self.encoders:
            x = block(x, past)
        x = self.up_embed(self.up_layer(x, past))
        for block in self.up_encoders:
            x = block(x, past)
        return self.after_norm(x)


class NoTokens(Nothing):
    """No tokens before the first."""

    def __init__(self) -> None:
        self._embedded: dict[int, Tensor] = {}

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See `EncoderPast`."""
        return key, value

    def toward(self, attention: RelativeAttention, n: int, seen: int) -> Tensor:
        """See `EncoderPast`."""
        if n not in self._embedded:
            like = attention.linear_pos.weight
            self._embedded[n] = sinusoids(seen - 1, 1 - n, attention.size, like.device)
        return attention.toward(self._embedded[n])


def sinusoids(farthest: int, nearest: int, size: int, device: torch.device) -> Tensor:
    """Embeddings `[1, m, size]`, float32, of the distances `farthest` down to `nearest`."""
    distance = torch.arange(farthest, nearest - 1, -1, dtype=torch.float32, device=device)[:, None]
    frequency = torch.exp(torch.arange(0, size, 2, dtype=torch.float32, device=device) * -(math.log(10_000.0) / size))
    angle = distance * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[None]
