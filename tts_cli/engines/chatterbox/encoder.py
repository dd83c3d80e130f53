"""The flow's encoder: speech tokens' embeddings at 25/s to hidden frames at 50/s.

Conformer blocks without their convolution, i.e. transformer blocks with relative positions (Dai et al. 2019,
arXiv:1901.02860, section 3.3), before and after a twofold upsampling. Computes what
`UpsampleConformerEncoder` of chatterbox-tts 0.1.7 does (models/s3gen/transformer/upsample_encoder.py), with
its parameter names, for one utterance without padding. Attention is bidirectional; the only other look ahead
is `LOOKAHEAD` tokens in front of the blocks.
"""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.config import EncoderConfig

LOOKAHEAD: Final = 3
"""Tokens that the first convolution sees to the right; behind the last token it sees zeros."""
UPSAMPLING: Final = 2
"""Frames a token."""


class Embed(nn.Module):
    """Linear map and norm in front of a stack of blocks, scaled by √width."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(input_size, output_size), nn.LayerNorm(output_size))
        self.scale = math.sqrt(output_size)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, input_size]` → `[1, n, output_size]`."""
        return self.out(x) * self.scale  # type: ignore[no-any-return]


class PreLookahead(nn.Module):
    """Two convolutions, residual: the first sees `LOOKAHEAD` positions ahead, the second two behind."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, channels, LOOKAHEAD + 1)
        self.conv2 = nn.Conv1d(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, channels]`, shape kept."""
        y = F.leaky_relu(self.conv1(F.pad(x.mT, (0, LOOKAHEAD))))
        return x + self.conv2(F.pad(y, (2, 0))).mT  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Every position twice, smoothed by a causal convolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out_channels, 2 * UPSAMPLING + 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, channels]` → `[1, 2n, out_channels]`."""
        repeated = x.mT.repeat_interleave(UPSAMPLING, dim=-1)
        return self.conv(F.pad(repeated, (2 * UPSAMPLING, 0))).mT  # type: ignore[no-any-return]


class RelativeAttention(nn.Module):
    """Self-attention whose scores are (q + u)·k + (q + v)·p over the positions' distances."""

    def __init__(self, size: int, heads: int, key_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q = nn.Linear(size, size)
        self.linear_k = nn.Linear(size, size, bias=key_bias)
        self.linear_v = nn.Linear(size, size)
        self.linear_out = nn.Linear(size, size)
        self.linear_pos = nn.Linear(size, size, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, size // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, size // heads))

    def _split(self, x: Tensor) -> Tensor:
        """`[1, n, size]` → `[1, heads, n, size / heads]`."""
        return x.view(1, x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor, distances: Tensor) -> Tensor:
        """`x` `[1, n, size]`; `distances` `[1, 2n - 1, size]` from n - 1 down to 1 - n."""
        n = x.shape[1]
        query, key, value = (self._split(linear(x)) for linear in (self.linear_q, self.linear_k, self.linear_v))
        toward = self._split(self.linear_pos(distances))
        by_distance = (query + self.pos_bias_v[:, None]) @ toward.mT / math.sqrt(query.shape[-1])
        # Row i of `by_distance` starts at distance n - 1; its entry for key j lies at n - 1 - i + j.
        row = 2 * n - 1
        shifted = by_distance.contiguous().as_strided(
            (1, self.heads, n, n), (self.heads * n * row, n * row, row - 1, 1), n - 1
        )
        mixed = F.scaled_dot_product_attention(query + self.pos_bias_u[:, None], key, value, attn_mask=shifted)
        return self.linear_out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two linear maps with SiLU between them."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(size, hidden)
        self.w_2 = nn.Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, size]`, shape kept."""
        return self.w_2(F.silu(self.w_1(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.self_attn = RelativeAttention(size, config.attention_heads, config.key_bias)
        self.feed_forward = FeedForward(size, config.linear_units)
        self.norm_ff = nn.LayerNorm(size, eps=1e-12)
        self.norm_mha = nn.LayerNorm(size, eps=1e-12)

    def forward(self, x: Tensor, distances: Tensor) -> Tensor:
        """`x` `[1, n, size]`, `distances` `[1, 2n - 1, size]`."""
        x = x + self.self_attn(self.norm_mha(x), distances)
        return x + self.feed_forward(self.norm_ff(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Token embeddings `[1, n, input_size]` → hidden frames `[1, 2n, output_size]`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.embed = Embed(config.input_size, size)
        self.pre_lookahead_layer = PreLookahead(size)
        self.encoders = nn.ModuleList([Block(config) for _ in range(config.num_blocks)])
        self.up_layer = Upsample(size, config.input_size)
        self.up_embed = Embed(config.input_size, size)
        self.up_encoders = nn.ModuleList([Block(config) for _ in range(config.num_up_blocks)])
        self.after_norm = nn.LayerNorm(size)

    def forward(self, embedded: Tensor) -> Tensor:
        """See the class."""
        x = self.pre_lookahead_layer(self.embed(embedded))
        distances = sinusoids(x)
        for block in self.encoders:
            x = block(x, distances)
        x = self.up_embed(self.up_layer(x))
        distances = sinusoids(x)
        for block in self.up_encoders:
            x = block(x, distances)
        return self.after_norm(x)  # type: ignore[no-any-return]


def sinusoids(like: Tensor) -> Tensor:
    """Embeddings `[1, 2n - 1, size]` of the distances n - 1 … 1 - n, for `like` `[1, n, size]`."""
    n, size = like.shape[1:]
    distance = torch.arange(n - 1, -n, -1, dtype=torch.float32, device=like.device)[:, None]
    frequency = torch.exp(
        torch.arange(0, size, 2, dtype=torch.float32, device=like.device) * -(math.log(10_000.0) / size)
    )
    angle = distance * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[None].to(like.dtype)
