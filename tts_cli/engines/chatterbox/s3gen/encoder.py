"""The encoder of the flow: it turns embedded speech tokens, 25 a second, into hidden frames, 50 a second.

It consists of Conformer blocks without their convolution, which are transformer blocks with relative positions, then a
twofold upsampling, then more such blocks. Attention is bidirectional. Before the blocks, a convolution sees `LOOKAHEAD`
tokens ahead.

References
----------
The results and the names of parameters are those of `UpsampleConformerEncoder` in chatterbox-tts 0.1.7
(models/s3gen/transformer/upsample_encoder.py), for one utterance without padding.
"""

from __future__ import annotations

import math
from typing import Final, cast

import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, LayerNorm, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.s3gen.relative_attention import EncoderPast, RelativeAttention
from tts_cli.engines.chatterbox.weights.config import EncoderConfig

LOOKAHEAD: Final = 3
"""How many tokens ahead the first convolution sees. After the last token it sees zeros."""
UPSAMPLING: Final = 2
"""Frames for each token."""


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
        """Compute the convolutions.

        Parameters
        ----------
        x
            `[1, n + ahead, channels]`.
        past
            Has the tail of the second convolution.
        ahead
            How many positions at the end only serve as lookahead. After them, zeros are seen.

        Returns
        -------
        Tensor
            `[1, n, channels]`.
        """
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
