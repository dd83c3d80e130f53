"""What strategy `cached` streams, computed in one pass: slow, with masks over full score matrices.

The prompt and the whole utterance go through the flow side by side. What a position may see, and how far away it
takes that to be, is written out in a matrix for every pair of positions (`Sight`); convolutions run over all of the
sequence. Of the package it takes the weights and what works on one position at a time, nothing that keeps state.

The rule, with p prompt tokens, a window of R tokens and an utterance cut into blocks [s, e):

- the prompt sees the prompt alone, also in the convolution that looks ahead;
- a block sees all of the prompt and of the utterance the tokens from w = max(0, e - R) to e, its own included;
- the window's positions are counted as if it stood right after the prompt: from token i to prompt token k it is
  (i - w) + (p - k);
- convolutions that look back see all that came before, prompt included;
- at frame rate all of these numbers double.

CosyVoice 2 trains its flow with masks of this kind (Du et al. 2024, arXiv:2412.10117, section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt
from tts_cli.engines.chatterbox.s3gen.noise import Noise

AHEAD = 3
"""Tokens that the encoder's first convolution sees ahead."""


@dataclass(frozen=True)
class Sight:
    """For every pair of positions of prompt and utterance: is it seen, and how far away is it? Both `[n, n]`.

    Rows are those who look. Distances are positive to the left.
    """

    visible: Tensor
    distance: Tensor


def everything(n: int) -> Sight:
    """Who is at n positions sees all of them: what `Flow` computes."""
    at = torch.arange(n)
    return Sight(torch.ones(n, n, dtype=torch.bool), at[:, None] - at)


def block_causal(p: int, blocks: Sequence[tuple[int, int]], window: int) -> Sight:
    """What the rule lets p positions of the prompt, and those of the blocks after them, see."""
    n = p + sum(end - start for start, end in blocks)
    sight = everything(n)
    visible, distance = torch.zeros_like(sight.visible), sight.distance
    visible[:p, :p] = True
    for start, end in blocks:
        first = max(0, end - window)
        rows = slice(p + start, p + end)
        visible[rows, :p] = True
        visible[rows, p + first : p + end] = True
        # Everything before the window is left out, so the prompt comes nearer by as much.
        distance[rows, :p] -= first
    return Sight(visible, distance)


def blocks_of(pushes: Sequence[int], window: int) -> list[tuple[int, int]]:
    """The blocks that pushes of so many tokens make, when an empty push ends the utterance."""
    blocks: list[tuple[int, int]] = []
    known = done = 0
    for number, size in enumerate([*pushes, 0]):
        known += size
        ready = known if number == len(pushes) else known - AHEAD
        while done < ready:
            end = min(ready, done + window // 3)
            blocks.append((done, end))
            done = end
    return blocks


def block_causal_mels(
    flow: Flow, prompt: Prompt, tokens: Tensor, noise: Noise, blocks: Sequence[tuple[int, int]], window: int
) -> Tensor:
    """Mel frames `[80, 2n]` of tokens `[n]`, decoded in `blocks` that cover them, `window` tokens seen by each."""
    starts, ends = [start for start, _ in blocks], [end for _, end in blocks]
    assert [*starts, len(tokens)] == [0, *ends], "blocks cover the utterance"
    p = len(prompt.tokens)
    doubled = [(2 * start, 2 * end) for start, end in blocks]
    sights = block_causal(p, blocks, window), block_causal(2 * p, doubled, 2 * window)
    return masked_mels(flow, prompt, tokens, noise, *sights, parts=[p, len(tokens)])[:, 2 * p :]


def masked_mels(
    flow: Flow, prompt: Prompt, tokens: Tensor, noise: Noise, at_tokens: Sight, at_frames: Sight, parts: list[int]
) -> Tensor:
    """Mel frames `[80, 2(p + n)]` of prompt and utterance, where each sees what the two matrices say.

    `parts` are the lengths in tokens of the stretches whose last tokens look ahead at zeros.
    """
    with torch.inference_mode():
        embedded = flow.input_embedding(torch.cat((prompt.tokens, tokens)))
        mu = flow.encoder_proj(_encoded(flow.encoder, embedded, at_tokens, at_frames, parts)).T
        cond = torch.cat((prompt.mels, torch.zeros(80, 2 * len(tokens))), dim=1)
        x = torch.cat((noise.prompt(2 * len(prompt.tokens)), noise.mels(0, 2 * len(tokens))), dim=1)
        for t, r in pairwise(torch.tensor([0.0, 0.5, 1.0])):
            x = x + (r - t) * _velocity(flow.decoder.estimator, x, mu, prompt.speaker, cond, t, r, at_frames)
        return x


def _encoded(encoder: Any, embedded: Tensor, at_tokens: Sight, at_frames: Sight, parts: list[int]) -> Tensor:
    """Hidden frames `[2n, size]` of embedded tokens `[n, input_size]`."""
    x = _embed(encoder.embed, embedded)
    first, second = encoder.pre_lookahead_layer.conv1, encoder.pre_lookahead_layer.conv2
    ahead = [_conv(first, part.T, right=AHEAD) for part in torch.split(x, parts) if len(part)]
    x = x + _conv(second, F.leaky_relu(torch.cat(ahead, dim=1)), left=2).T
    for block in encoder.encoders:
        x = _encoder_block(block, x, at_tokens)
    x = _conv(encoder.up_layer.conv, x.repeat_interleave(2, dim=0).T, left=4).T
    x = _embed(encoder.up_embed, x)
    for block in encoder.up_encoders:
        x = _encoder_block(block, x, at_frames)
    hidden: Tensor = encoder.after_norm(x)
    return hidden


def _embed(embed: Any, x: Tensor) -> Tensor:
    y: Tensor = embed.out[1](embed.out[0](x))
    return y * math.sqrt(y.shape[-1])


def _encoder_block(block: Any, x: Tensor, sight: Sight) -> Tensor:
    x = x + relative_attention(block.self_attn, block.norm_mha(x), sight)
    y: Tensor = block.feed_forward.w_2(F.silu(block.feed_forward.w_1(block.norm_ff(x))))
    return x + y


def relative_attention(attention: Any, x: Tensor, sight: Sight) -> Tensor:
    """`[n, size]`, shape kept: scores are (q + u)·k + (q + v)·p over the distances in `sight`."""
    heads = attention.pos_bias_u.shape[0]
    query, key, value = (_heads(to(x), heads) for to in (attention.linear_q, attention.linear_k, attention.linear_v))
    nearest, farthest = int(sight.distance.min()), int(sight.distance.max())
    places = _heads(attention.linear_pos(_sinusoids(nearest, farthest, x.shape[-1])), heads)
    by_distance = (query + attention.pos_bias_v[:, None]) @ places.mT
    by_place = by_distance.gather(-1, (sight.distance - nearest).expand(heads, -1, -1))
    by_content = (query + attention.pos_bias_u[:, None]) @ key.mT
    out: Tensor = attention.linear_out(_mixed(by_content + by_place, value, sight))
    return out


def _sinusoids(first: int, last: int, size: int) -> Tensor:
    """Embeddings `[last - first + 1, size]` of the distances from `first` to `last`."""
    table = torch.empty(last - first + 1, size)
    for pair in range(size // 2):
        angle = torch.arange(first, last + 1).float() * math.exp(-math.log(10_000.0) * 2 * pair / size)
        table[:, 2 * pair], table[:, 2 * pair + 1] = angle.sin(), angle.cos()
    return table


def _velocity(
    estimator: Any, x: Tensor, mu: Tensor, speaker: Tensor, cond: Tensor, t: Tensor, r: Tensor, sight: Sight
) -> Tensor:
    """`x`, `mu` and `cond` `[80, n]` → `[80, n]`."""
    time = estimator.time_embed_mixer(torch.cat((estimator.time_mlp(t), estimator.time_mlp(r)), dim=-1))
    x = torch.cat((x, mu, speaker.T.expand_as(mu), cond))
    (down,), (up,) = estimator.down_blocks, estimator.up_blocks
    skip = _stage(down, x, time, sight)
    x = _conv(down[2], skip, left=2)
    for stage in estimator.mid_blocks:
        x = _stage(stage, x, time, sight)
    x = _conv(up[2], _stage(up, torch.cat((x, skip)), time, sight), left=2)
    return _conv(estimator.final_proj, _conv_block(estimator.final_block, x))


def _stage(stage: Any, x: Tensor, time: Tensor, sight: Sight) -> Tensor:
    """A stage's convolutions, then its transformer blocks. `[dim, n]`."""
    resnet, blocks = stage[0], stage[1]
    y = _conv_block(resnet.block1, x) + resnet.mlp(time).T
    y = (_conv_block(resnet.block2, y) + _conv(resnet.res_conv, x)).T
    for block in blocks:
        y = y + attention(block.attn1, block.norm1(y), sight)
        y = y + block.ff(block.norm3(y))
    columns: Tensor = y.T
    return columns


def attention(layer: Any, x: Tensor, sight: Sight) -> Tensor:
    """`[n, dim]`, shape kept: attention without positions."""
    query, key, value = (_heads(to(x), layer.heads) for to in (layer.to_q, layer.to_k, layer.to_v))
    mixed: Tensor = layer.to_out[0](_mixed(query @ key.mT, value, sight))
    return mixed


def _heads(x: Tensor, heads: int) -> Tensor:
    """`[n, size]` → `[heads, n, size / heads]`."""
    return x.view(len(x), heads, -1).transpose(0, 1)


def _mixed(scores: Tensor, value: Tensor, sight: Sight) -> Tensor:
    """Values `[heads, n, size]` of what is seen, weighted by scores `[heads, n, n]` not yet scaled → `[n, …]`."""
    scores = (scores / math.sqrt(value.shape[-1])).masked_fill(~sight.visible, -math.inf)
    return (scores.softmax(dim=-1) @ value).transpose(0, 1).flatten(1)


def _conv_block(block: Any, x: Tensor) -> Tensor:
    convolution, norm = block.block["0"], block.block["2"]
    return F.mish(norm(_conv(convolution, x, left=2).T).T)


def _conv(convolution: Any, x: Tensor, left: int = 0, right: int = 0) -> Tensor:
    """`[channels, n]` → `[out, n]`, zeros around it."""
    return F.conv1d(F.pad(x[None], (left, right)), convolution.weight, convolution.bias)[0]
