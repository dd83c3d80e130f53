"""The flow's velocity estimator: causal residual convolutions, each followed by transformer blocks.

Computes what `ConditionalDecoder(causal=True, meanflow=True)` of chatterbox-tts 0.1.7 does
(models/s3gen/decoder.py), with its parameter names, for one utterance without padding. The convolutions are
causal with a width of 3; attention is bidirectional over what it is given, sees all that `past` holds, and knows no
positions. A step of a mean flow
(arXiv:2505.13447) goes from time t to time r; their embeddings are mixed by a learnt matrix
(arXiv:2510.07979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, LayerNorm, Linear, Sequential, TypedModule
from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.s3gen.past import Past
from tts_cli.engines.chatterbox.weights.config import EstimatorConfig
from tts_cli.errors import ModelError

REACH: Final = 2
"""Positions behind that a convolution sees besides its own; it sees none ahead."""


class ConvBlock(TypedModule):
    """Causal convolution, norm over channels, Mish."""

    def __init__(self, dim: int, dim_out: int) -> None:
        super().__init__()
        # Upstream keeps its transpositions in the sequence, so that the norm is number 2.
        self.block = nn.ModuleDict({"0": Conv1d(dim, dim_out, REACH + 1), "2": LayerNorm(dim_out)})

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """`[1, dim, n]` → `[1, dim_out, n]`."""
        return F.mish(self.block["2"](self.block["0"](past.with_tail(x, REACH)).mT).mT)


class ResnetBlock(TypedModule):
    """Two `ConvBlock`s with the time embedding added between them, beside a residual."""

    def __init__(self, dim: int, dim_out: int, time_size: int) -> None:
        super().__init__()
        self.mlp = Sequential(nn.Mish(), Linear(time_size, dim_out))
        self.block1 = ConvBlock(dim, dim_out)
        self.block2 = ConvBlock(dim_out, dim_out)
        self.res_conv = Conv1d(dim, dim_out, 1)

    def forward(self, x: Tensor, shift: Tensor, past: Past) -> Tensor:
        """`x` `[1, dim, n]`, `shift` `[1, dim_out, 1]` for the step in hand → `[1, dim_out, n]`."""
        return self.block2(self.block1(x, past) + shift, past) + self.res_conv(x)


class Attention(TypedModule):
    """Self-attention over the past and all of `x`, without positions; heads may be wider than the stream."""

    def __init__(self, dim: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = Linear(dim, heads * head_size, bias=False)
        self.to_k = Linear(dim, heads * head_size, bias=False)
        self.to_v = Linear(dim, heads * head_size, bias=False)
        self.to_out = nn.ModuleList([Linear(heads * head_size, dim)])
        self.to_qkv: Linear | None = None

    def fuse(self) -> None:
        """Make one map of queries', keys' and values': less work to hand out, but not the same to the last bit."""
        parts = (self.to_q.weight, self.to_k.weight, self.to_v.weight)
        self.to_qkv = fused = Linear(parts[0].shape[1], sum(len(part) for part in parts), bias=False, device="meta")
        fused.weight = nn.Parameter(torch.cat(parts), requires_grad=False)
        del self.to_q, self.to_k, self.to_v

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """`[1, n, dim]`, shape kept."""
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
"""By diffusers' names: how many times the hidden width the projection yields, and the function."""


class Projection(TypedModule):
    """The first linear map of a feed-forward and its activation."""

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
    """Out to four times the width and back."""

    def __init__(self, dim: int, activation: str) -> None:
        super().__init__()
        self.net = nn.ModuleDict({"0": Projection(dim, 4 * dim, activation), "2": Linear(4 * dim, dim)})

    def forward(self, x: Tensor) -> Tensor:
        """`[1, n, dim]`, shape kept."""
        y: Tensor = self.net["2"](self.net["0"](x))
        return y


class TransformerBlock(TypedModule):
    """Attention and feed-forward, each behind a norm and beside a residual. `[1, n, dim]`."""

    def __init__(self, dim: int, config: EstimatorConfig) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim)
        self.attn1 = Attention(dim, config.num_heads, config.attention_head_dim)
        self.norm3 = LayerNorm(dim)
        self.ff = FeedForward(dim, config.act_fn)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """`[1, n, dim]`, shape kept."""
        x = x + self.attn1(self.norm1(x), past)
        return x + self.ff(self.norm3(x))


class TimeMLP(TypedModule):
    """A moment of the flow, 0 … 1, as a vector `[1, time_size]`."""

    def __init__(self, size: int, time_size: int) -> None:
        super().__init__()
        self.size = size
        self.linear_1 = Linear(size, time_size)
        self.linear_2 = Linear(time_size, time_size)

    def forward(self, moment: Tensor) -> Tensor:
        """A scalar `moment` → `[1, time_size]`."""
        half = self.size // 2
        frequency = torch.exp(
            torch.arange(half, dtype=torch.float32, device=moment.device) * -(math.log(10_000.0) / (half - 1))
        )
        angle = 1000.0 * moment.reshape(1, 1) * frequency
        sinusoid = torch.cat((angle.sin(), angle.cos()), dim=-1)
        return self.linear_2(F.silu(self.linear_1(sinusoid)))


class Estimator(TypedModule):
    """Mean velocity `[1, 80, n]` from time t to time r, given the state and its conditions."""

    def __init__(self, config: EstimatorConfig) -> None:
        super().__init__()
        (dim,) = config.channels
        time_size = 4 * dim
        self.time_mlp = TimeMLP(config.in_channels, time_size)
        self.time_embed_mixer = Linear(2 * time_size, time_size, bias=False)

        def stage(width: int, *behind: nn.Module) -> nn.ModuleList:
            blocks = nn.ModuleList([TransformerBlock(dim, config) for _ in range(config.n_blocks)])
            return nn.ModuleList([ResnetBlock(width, dim, time_size), blocks, *behind])

        self.down_blocks = nn.ModuleList([stage(config.in_channels, Conv1d(dim, dim, REACH + 1))])
        self.mid_blocks = nn.ModuleList([stage(dim) for _ in range(config.num_mid_blocks)])
        self.up_blocks = nn.ModuleList([stage(2 * dim, Conv1d(dim, dim, REACH + 1))])
        self.final_block = ConvBlock(dim, dim)
        self.final_proj = Conv1d(dim, config.out_channels, 1)

    def convert(self, kind: str) -> None:
        """Put layers of this `kind` in place (see `conversion`), but not where times become shifts."""
        for module in self.modules():
            if isinstance(module, Attention):
                module.fuse()
        for part in (self.down_blocks, self.mid_blocks, self.up_blocks, self.final_block):
            convert(part, kind)
        for module in self.modules():  # what only the next product or softmax reads need not become float32 between
            layer = {Attention: "to_qkv", Projection: "proj"}.get(type(module))
            if layer is not None:
                getattr(module, layer).raw = True

    def shifts(self, t: Tensor, r: Tensor) -> list[Tensor]:
        """What the step from `t` to `r`, scalars, adds in each stage's convolutions: `[1, dim, 1]` each, in order."""
        time = self.time_embed_mixer(torch.cat((self.time_mlp(t), self.time_mlp(r)), dim=-1))
        stages = (*self.down_blocks, *self.mid_blocks, *self.up_blocks)
        convolutions = [cast(ResnetBlock, cast(nn.ModuleList, stage)[0]) for stage in stages]
        return [each.mlp(time)[..., None] for each in convolutions]

    def forward(
        self, x: Tensor, mu: Tensor, speaker: Tensor, cond: Tensor, shifts: Sequence[Tensor], past: Past
    ) -> Tensor:
        """`x`, `mu` and `cond` `[1, 80, n]`, `speaker` `[1, 80]`, `shifts` those of the step."""
        x = torch.cat((x, mu, speaker[..., None].expand_as(mu), cond), dim=1)
        (down,), (up,) = self.down_blocks, self.up_blocks
        first, *others, last = shifts
        skip = _stage(down, x, first, past)
        x = down[2](past.with_tail(skip, REACH))
        for stage, shift in zip(self.mid_blocks, others, strict=True):
            x = _stage(stage, x, shift, past)
        x = up[2](past.with_tail(_stage(up, torch.cat((x, skip), dim=1), last, past), REACH))
        return self.final_proj(self.final_block(x, past))


def _stage(stage: nn.ModuleList, x: Tensor, shift: Tensor, past: Past) -> Tensor:
    """The convolutions of a stage, then its transformer blocks. `[1, dim, n]`."""
    convolutions, blocks = stage[0], cast(nn.ModuleList, stage[1])
    x = convolutions(x, shift, past).mT
    for block in blocks:
        x = block(x, past)
    return x.mT
