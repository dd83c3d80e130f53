"""The block-causal reference against the flow, where the two must agree, and against its own rule where not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.engines.chatterbox.s3gen.block_causal import (
    Sight,
    attention,
    block_causal,
    block_causal_mels,
    blocks_of,
    everything,
    masked_mels,
    relative_attention,
)
from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.flow import Prompt
from tts_cli.engines.chatterbox.s3gen.noise import SeededNoise
from tts_cli.engines.chatterbox.s3gen.past import NoPast
from tts_cli.engines.chatterbox.s3gen.relative_attention import NoEncoderPast
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY

NOISE = SeededNoise(3)
TOKENS = torch.from_numpy(np.random.default_rng(5).integers(0, SPEECH_VOCABULARY, 130))
PUSHES = [7, 1, 0, 12, 20]


pytestmark = pytest.mark.usefixtures("inference")


def masked(decoder: S3GenDecoder, prompt: Prompt, n: int, at_tokens: Sight, at_frames: Sight, *parts: int) -> Tensor:
    return masked_mels(decoder.flow, prompt, TOKENS[:n], NOISE, at_tokens, at_frames, list(parts))


def whole(decoder: S3GenDecoder, prompt: Prompt, n: int) -> Tensor:
    noise = torch.cat((NOISE.prompt(prompt.frames), NOISE.mels(0, 2 * n)), dim=1)
    mels: Tensor = decoder.flow(prompt, TOKENS[:n], noise)
    return mels


def sights(prompt: Prompt, pushes: Sequence[int], window: int) -> tuple[Sight, Sight]:
    blocks, p = blocks_of(pushes, window), len(prompt.tokens)
    doubled = [(2 * start, 2 * end) for start, end in blocks]
    return block_causal(p, blocks, window), block_causal(2 * p, doubled, 2 * window)


def test_blocks_are_what_the_lookahead_allows_and_no_longer_than_a_third_of_the_window() -> None:
    assert blocks_of([7, 1, 0, 12], 30) == [(0, 4), (4, 5), (5, 15), (15, 17), (17, 20)]
    assert blocks_of([2, 2, 5], 6) == [(0, 1), (1, 3), (3, 5), (5, 6), (6, 8), (8, 9)]
    assert blocks_of([2], 75) == [(0, 2)]
    assert blocks_of([0], 75) == []


def test_where_all_is_seen_the_reference_is_the_flow(decoder: S3GenDecoder, prompt: Prompt) -> None:
    n = len(prompt.tokens) + 40
    found = masked(decoder, prompt, 40, everything(n), everything(2 * n), n)
    assert torch.allclose(found[:, prompt.frames :], whole(decoder, prompt, 40), atol=1e-5)


def test_one_block_without_a_prompt_is_the_flow(decoder: S3GenDecoder, prompt: Prompt) -> None:
    nobody = Prompt(prompt.tokens[:0], prompt.mels[:, :0], prompt.speaker)
    found = block_causal_mels(decoder.flow, nobody, TOKENS[:40], NOISE, [(0, 40)], 40)
    assert torch.allclose(found, whole(decoder, nobody, 40), atol=1e-5)


def test_the_prompt_is_decoded_as_if_nothing_followed(decoder: S3GenDecoder, prompt: Prompt) -> None:
    p, flow = len(prompt.tokens), decoder.flow
    found = masked(decoder, prompt, 40, *sights(prompt, [40], 9), p, 40)
    steps = flow.decoder.steps(flow.device)
    pasts = [NoPast() for _ in steps]
    alone = flow.mels(prompt.tokens, NOISE.prompt(2 * p), prompt.speaker, prompt.mels, steps, NoEncoderPast(), pasts)
    assert torch.allclose(found[:, : 2 * p], alone, atol=1e-5)


def test_a_block_attends_as_if_window_and_prompt_were_all_there_is(decoder: S3GenDecoder) -> None:
    p, window, blocks = 5, 9, [(0, 3), (3, 4), (4, 7), (7, 10), (10, 13), (13, 15)]
    sight = block_causal(p, blocks, window)
    relative = decoder.flow.encoder.encoders.get_submodule("0.self_attn")
    placeless = decoder.flow.decoder.estimator.down_blocks.get_submodule("0.1.0.attn1")
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
    one, two = relative_attention(relative, x, sight), attention(placeless, x, sight)
    assert torch.allclose(one[:p], relative(x[None, :p], NoEncoderPast())[0], atol=1e-5)
    assert torch.allclose(two[:p], placeless(x[None, :p], NoPast())[0], atol=1e-5)
    for start, end in blocks:
        beside = torch.cat((x[:p], x[p + max(0, end - window) : p + end]))[None]
        rows = slice(p + start, p + end)
        assert torch.allclose(one[rows], relative(beside, NoEncoderPast())[0, start - end :], atol=1e-5)
        assert torch.allclose(two[rows], placeless(beside, NoPast())[0, start - end :], atol=1e-5)


def test_a_block_hears_of_three_tokens_after_it_and_of_no_more(decoder: S3GenDecoder, prompt: Prompt) -> None:
    blocks = [(0, 4), (4, 10), (10, 11), (11, 21), (21, 30)]
    decode = partial(block_causal_mels, decoder.flow, prompt, noise=NOISE, blocks=blocks, window=30)
    before = decode(tokens=TOKENS[:30])
    for _, end in blocks[:-1]:
        for ahead in (2, 3):
            tokens = TOKENS[:30].clone()
            tokens[end + ahead] += 1
            assert torch.equal(decode(tokens=tokens)[:, : 2 * end], before[:, : 2 * end]) == (ahead == 3)


def test_what_is_long_past_is_forgotten(decoder: S3GenDecoder, prompt: Prompt) -> None:
    """Attention reaches back one window a layer, of which there are two and six; convolutions 2 and 20 tokens."""
    window, pushes = 6, [5] * 26
    blocks, reach = blocks_of(pushes, window), (2 + 6) * window + 22
    before = block_causal_mels(decoder.flow, prompt, TOKENS, NOISE, blocks, window)
    tokens = TOKENS.clone()
    tokens[:10] = 17
    change = (block_causal_mels(decoder.flow, prompt, tokens, NOISE, blocks, window) - before).abs().amax(dim=0)
    assert not change[2 * (10 + reach) :].any()
    assert (change[: 2 * (10 + window)] > 1e-3).all()


@pytest.mark.parametrize("window", [6, 9])
def test_every_part_of_the_rule_is_heard_in_this_checkpoint(decoder: S3GenDecoder, prompt: Prompt, window: int) -> None:
    """So that a stream which breaks one of them is far from the reference."""
    p, n = len(prompt.tokens), sum(PUSHES)
    at_tokens, at_frames = sights(prompt, PUSHES, window)
    wider = sights(prompt, PUSHES, window + 1)  # its blocks are as long
    proper = masked(decoder, prompt, n, at_tokens, at_frames, p, n)
    others: dict[str, tuple[Sight, Sight, list[int]]] = {
        "distances at token rate": (Sight(at_tokens.visible, everything(p + n).distance), at_frames, [p, n]),
        "distances at frame rate": (at_tokens, Sight(at_frames.visible, everything(2 * (p + n)).distance), [p, n]),
        "window at token rate": (wider[0], at_frames, [p, n]),
        "window at frame rate": (at_tokens, wider[1], [p, n]),
        "where the prompt's lookahead ends": (at_tokens, at_frames, [p + n]),
        "blocks at token rate": (sights(prompt, [n], window)[0], at_frames, [p, n]),
        "blocks at frame rate": (at_tokens, sights(prompt, [n], window)[1], [p, n]),
    }
    for tokens, frames, parts in others.values():
        changed = masked(decoder, prompt, n, tokens, frames, *parts) - proper
        assert changed[:, 2 * p :].abs().max() > 1e-2
