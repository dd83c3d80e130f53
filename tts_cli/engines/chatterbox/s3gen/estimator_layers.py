"""The layers of the estimator of the flow: causal residual convolutions, transformer blocks, and embeddings of times.

References
----------
The results and the names of parameters are those of chatterbox-tts 0.1.7 (models/s3gen/decoder.py and
matcha/decoder.py), for one utterance without padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, LayerNorm, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.s3gen.past import Past
from tts_cli.engines.chatterbox.weights.config import EstimatorConfig
from tts_cli.engines.chatterbox.weights.tensors import built
from tts_cli.errors import ModelError

REACH: Final = 2
"""How many earlier positions a convolution sees. It sees no later ones."""


class ConvBlock(TypedModule):
    """A causal convolution, a norm over the channels, and Mish (arXiv:1908.08681)."""

    def __init__(self, dim: int, dim_out: int) -> None:
        super().__init__()
        # In upstream's sequence, number 1 is a transposition, so the norm is number 2.
        self.block = nn.ModuleDict({"0": Conv1d(dim, dim_out, REACH + 1), "2": LayerNorm(dim_out)})

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """`[1, dim, n]` → `[1, dim_out, n]`."""
        return F.mish(self.block["2"](self.block["0"](past.with_tail(x, REACH)).mT).mT)


class ResnetBlock(TypedModule):
    """Two `ConvBlock`s, between which the shift of the flow step is added, with a residual around both.

    Parameters
    ----------
    dim, dim_out
        Channels of input and output.
    time_size
        The width of the embedding of a time.
    """

    def __init__(self, dim: int, dim_out: int, time_size: int) -> None:
        super().__init__()
        self.mlp = Sequential(nn.Mish(), Linear(time_size, dim_out))
        self.block1 = ConvBlock(dim, dim_out)
        self.block2 = ConvBlock(dim_out, dim_out)
        self.res_conv = Conv1d(dim, dim_out, 1)

    def forward(self, x: Tensor, shift: Tensor, past: Past) -> Tensor:
        """Compute the block.

        Parameters
        ----------
        x
            `[1, dim, n]`.
        shift
            What the flow step adds between the convolutions, `[1, dim_out, 1]`.
        past
            Has the tails of the convolutions.

        Returns
        -------
        Tensor
            `[1, dim_out, n]`.
        """
        return self.block2(self.block1(x, past) + shift, past) + self.res_conv(x)


class SelfAttention(TypedModule):
    """Self-attention without positions, over the past and all new positions.

    Parameters
    ----------
    dim
        The width of the stream.
    heads, head_size
        The number of heads and the width of each; together they may be wider than the stream.
    """

    def __init__(self, dim: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = Linear(dim, heads * head_size, bias=False)
        self.to_k = Linear(dim, heads * head_size, bias=False)
        self.to_v = Linear(dim, heads * head_size, bias=False)
        self.to_out = nn.ModuleList([Linear(heads * head_size, dim)])
        self.to_qkv: Linear | None = None

    def fuse(self) -> None:
        """Replace the maps of queries, keys and values by one map. That is faster, but the last bits differ."""
        parts = (self.to_q.weight, self.to_k.weight, self.to_v.weight)
        inputs, outputs = parts[0].shape[1], sum(len(part) for part in parts)
        self.to_qkv = fused = built(lambda: Linear(inputs, outputs, bias=False))
        fused.weight = nn.Parameter(torch.cat(parts), requires_grad=False)
        del self.to_q, self.to_k, self.to_v

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """`[1, n, dim]` → the same shape."""
        fused = self.to_qkv
        mapped = (self.to_q(x), self.to_k(x), self.to_v(x)) if fused is None else fused(x).chunk(3, dim=-1)
        query, key, value = (each.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for each in mapped)
        y: Tensor = self.to_out[0](past.attend(query, key, value).transpose(1, 2).flatten(2))
        return y


def _geglu(x: Tensor) -> Tensor:
    value, gate = x.chunk(2, dim=-1)
    return value * F.gelu(gate)


ACTIVATIONS: Final[dict[str, tuple[int, Callable[[Tensor], Tensor]]]] = {
    "gelu": (1, F.gelu),
    "gelu-approximate": (1, lambda x: F.gelu(x, approximate="tanh")),
    "geglu": (2, _geglu),
    "geglu-approximate": (1, lambda x: x * torch.sigmoid(1.702 * x)),
}
"""By diffusers' names: the width of the linear map over the hidden width, and the function."""


class ActivatedLinear(TypedModule):
    """The first linear map of a feed-forward, with its activation.

    Parameters
    ----------
    dim, hidden
        The width of the stream, and that of the result.
    activation
        A name in `ACTIVATIONS`.

    Raises
    ------
    ModelError
        If the activation is not known.
    """

    def __init__(self, dim: int, hidden: int, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ModelError(f"estimator.act_fn {activation!r} is not among {', '.join(ACTIVATIONS)}")
        width, self.activation = ACTIVATIONS[activation]
        self.proj = Linear(dim, width * hidden)

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, dim]` → `[1, n, hidden]`."""
        return self.activation(self.proj(x))


class FeedForward(TypedModule):
    """Two linear maps with an activation between them; the hidden width is four times `dim`."""

    def __init__(self, dim: int, activation: str) -> None:
        super().__init__()
        self.net = nn.ModuleDict({"0": ActivatedLinear(dim, 4 * dim, activation), "2": Linear(4 * dim, dim)})

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, dim]` → the same shape."""
        y: Tensor = self.net["2"](self.net["0"](x))
        return y


class TransformerBlock(TypedModule):
    """Attention and feed-forward, each with a norm before it and a residual around both."""

    def __init__(self, dim: int, config: EstimatorConfig) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim)
        self.attn1 = SelfAttention(dim, config.num_heads, config.attention_head_dim)
        self.norm3 = LayerNorm(dim)
        self.ff = FeedForward(dim, config.act_fn)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """`[1, n, dim]` → the same shape."""
        x = x + self.attn1(self.norm1(x), past)
        return x + self.ff(self.norm3(x))


class TimeMLP(TypedModule):
    """Embeds a time of the flow, from 0 (noise) to 1 (mel frames)."""

    def __init__(self, size: int, time_size: int) -> None:
        super().__init__()
        self.size = size
        self.linear_1 = Linear(size, time_size)
        self.linear_2 = Linear(time_size, time_size)

    def forward(self, moment: Tensor) -> Tensor:
        """A scalar → `[1, time_size]`."""
        half = self.size // 2
        frequency = torch.exp(
            torch.arange(half, dtype=torch.float32, device=moment.device) * -(math.log(10_000.0) / (half - 1))
        )
        angle = 1000.0 * moment.reshape(1, 1) * frequency
        sinusoid = torch.cat((angle.sin(), angle.cos()), dim=-1)
        return self.linear_2(F.silu(self.linear_1(sinusoid)))
