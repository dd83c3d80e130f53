"""The estimator of the flow: stages of causal residual convolutions, each followed by transformer blocks.

In each flow step it computes the mean velocity with which the mel frames change from time t to time r. The embeddings
of both times are mixed by a learnt matrix. The convolutions have a width of 3. Attention has no positions. It sees the
past and, in both directions, all new positions.

References
----------
The results and the names of parameters are those of `ConditionalDecoder(causal=True, meanflow=True)` in chatterbox-tts
0.1.7 (models/s3gen/decoder.py), for one utterance without padding. Mean flows: arXiv:2505.13447. The mixed embeddings:
arXiv:2510.07979.
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
    """Two `ConvBlock`s, between which the shift of the flow step is added, with a residual around both."""

    def __init__(self, dim: int, dim_out: int, time_size: int) -> None:
        super().__init__()
        self.mlp = Sequential(nn.Mish(), Linear(time_size, dim_out))
        self.block1 = ConvBlock(dim, dim_out)
        self.block2 = ConvBlock(dim_out, dim_out)
        self.res_conv = Conv1d(dim, dim_out, 1)

    def forward(self, x: Tensor, shift: Tensor, past: Past) -> Tensor:
        """`x` `[1, dim, n]` and `shift` `[1, dim_out, 1]` → `[1, dim_out, n]`."""
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
        self.to_qkv = fused = Linear(parts[0].shape[1], sum(len(part) for part in parts), bias=False, device="meta")
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
    """The first linear map of a feed-forward, with its activation. Raises `ModelError` if that is not known."""

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


class Estimator(TypedModule):
    """The estimator of the flow.

    Parameters
    ----------
    config
        Its sizes.

    Raises
    ------
    ModelError
        If `config.act_fn` is not in `ACTIVATIONS`.
    """

    def __init__(self, config: EstimatorConfig) -> None:
        super().__init__()
        (dim,) = config.channels
        time_size = 4 * dim
        self.time_mlp = TimeMLP(config.in_channels, time_size)
        self.time_embed_mixer = Linear(2 * time_size, time_size, bias=False)

        def stage(width: int, *after: nn.Module) -> nn.ModuleList:
            blocks = nn.ModuleList([TransformerBlock(dim, config) for _ in range(config.n_blocks)])
            return nn.ModuleList([ResnetBlock(width, dim, time_size), blocks, *after])

        self.down_blocks = nn.ModuleList([stage(config.in_channels, Conv1d(dim, dim, REACH + 1))])
        self.mid_blocks = nn.ModuleList([stage(dim) for _ in range(config.num_mid_blocks)])
        self.up_blocks = nn.ModuleList([stage(2 * dim, Conv1d(dim, dim, REACH + 1))])
        self.final_block = ConvBlock(dim, dim)
        self.final_proj = Conv1d(dim, config.out_channels, 1)

    def convert(self, kind: str) -> None:
        """Replace layers by those of a precision. The layers that embed times, and the last one, stay float32.

        Parameters
        ----------
        kind
            A precision as `conversion.convert` takes it.
        """
        for module in self.modules():
            if isinstance(module, SelfAttention):
                module.fuse()
        for part in (self.down_blocks, self.mid_blocks, self.up_blocks, self.final_block):
            convert(part, kind)
        for module in self.modules():  # only layers that take bfloat16 read the results of these
            layer = {SelfAttention: "to_qkv", ActivatedLinear: "proj"}.get(type(module))
            if layer is not None:
                getattr(module, layer).raw = True

    def shifts(self, t: Tensor, r: Tensor) -> list[Tensor]:
        """What a flow step adds in the convolutions of each stage. It depends on the model and the times only.

        Parameters
        ----------
        t, r
            Scalars: when the step begins and ends.

        Returns
        -------
        list of Tensor
            `[1, dim, 1]` for each stage, in the order in which they are computed.
        """
        time = self.time_embed_mixer(torch.cat((self.time_mlp(t), self.time_mlp(r)), dim=-1))
        stages = (*self.down_blocks, *self.mid_blocks, *self.up_blocks)
        convolutions = [cast(ResnetBlock, cast(nn.ModuleList, stage)[0]) for stage in stages]
        return [each.mlp(time)[..., None] for each in convolutions]

    def forward(
        self, x: Tensor, mu: Tensor, speaker: Tensor, cond: Tensor, shifts: Sequence[Tensor], past: Past
    ) -> Tensor:
        """Compute the mean velocity of one flow step.

        Parameters
        ----------
        x
            The mel frames at the beginning of the step, `[1, 80, n]`.
        mu
            The encoder's result, `[1, 80, n]`.
        speaker
            As in `Prompt`, `[1, 80]`.
        cond
            The mel frames of the reference, and zeros for frames that are to be computed, `[1, 80, n]`.
        shifts
            Those of the step.
        past
            What the layers need of earlier frames in this step.

        Returns
        -------
        Tensor
            `[1, 80, n]`.
        """
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
    """The convolutions of a stage, then its transformer blocks: `[1, width, n]` → `[1, dim, n]`."""
    convolutions, blocks = stage[0], cast(nn.ModuleList, stage[1])
    x = convolutions(x, shift, past).mT
    for block in blocks:
        x = block(x, past)
    return x.mT
