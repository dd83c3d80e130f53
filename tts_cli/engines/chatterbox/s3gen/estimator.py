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

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Conv1d, Linear, TypedModule
from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.s3gen.estimator_layers import (
    REACH,
    ActivatedLinear,
    ConvBlock,
    ResnetBlock,
    SelfAttention,
    TimeMLP,
    TransformerBlock,
)
from tts_cli.engines.chatterbox.s3gen.past import Past
from tts_cli.engines.chatterbox.weights.config import EstimatorConfig


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
