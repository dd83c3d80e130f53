"""Strategy `cached` streams what the block-causal reference decodes in one pass, whatever the chunks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.engines.chatterbox.s3gen.block_causal import block_causal_mels, blocks_of
from tts_cli.audio import Samples
from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.cached import CachedFlow, VoicePast
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt
from tts_cli.engines.chatterbox.s3gen.noise import SeededNoise
from tts_cli.engines.chatterbox.s3gen.strategies import Cached
from tts_cli.engines.chatterbox.voice.past import past_of
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN, SPEECH_VOCABULARY

NOISE = SeededNoise(3)
TOKENS = torch.from_numpy(np.random.default_rng(5).integers(0, SPEECH_VOCABULARY, 130))
PUSHES = [7, 1, 0, 12, 20]


pytestmark = pytest.mark.usefixtures("inference")


def referred(flow: Flow, prompt: Prompt, pushes: Sequence[int], window: int) -> Tensor:
    """The reference's mel frames of as many `TOKENS` as are pushed."""
    return block_causal_mels(flow, prompt, TOKENS[: sum(pushes)], NOISE, blocks_of(pushes, window), window)


def decoded(flow: CachedFlow, voice: VoicePast, blocks: Sequence[tuple[int, int]], window: int) -> list[Tensor]:
    """The mel frames of each block of `TOKENS`."""
    state, n = flow.start(voice, window), blocks[-1][1] if blocks else 0
    return [
        flow.push(state, TOKENS[start : min(n, end + 3)], min(3, n - end), NOISE.mels(2 * start, 2 * end))
        for start, end in blocks
    ]


@pytest.fixture(scope="module")
def flow(decoder: S3GenDecoder) -> CachedFlow:
    with torch.inference_mode():
        return CachedFlow(decoder.flow)


@pytest.fixture(scope="module")
def past(flow: CachedFlow, prompt: Prompt) -> VoicePast:
    with torch.inference_mode():
        return flow.voice(prompt, NOISE.prompt(prompt.frames))


@given(sizes=st.lists(st.integers(0, 12), max_size=6), window=st.sampled_from([3, 6, 8, 9, 75]))
@example(sizes=[1] * 40, window=6)
@example(sizes=[1] * 40, window=9)
@example(sizes=[0, 0, 50], window=6)
@example(sizes=[90, 1, 8, 0, 2], window=75)
@settings(max_examples=25)
def test_streamed_mels_are_the_references(
    flow: CachedFlow, prompt: Prompt, past: VoicePast, sizes: list[int], window: int
) -> None:
    pieces = decoded(flow, past, blocks_of(sizes, window), window)
    found = torch.cat([torch.empty(80, 0), *pieces], dim=1)
    expected = referred(flow.flow, prompt, sizes, window)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-4)


def test_a_voice_may_be_shorter_than_what_a_convolution_looks_back(flow: CachedFlow, prompt: Prompt) -> None:
    for p in (1, 2, 3):
        short = Prompt(prompt.tokens[:p], prompt.mels[:, : 2 * p], prompt.speaker)
        pieces = decoded(flow, flow.voice(short, NOISE.prompt(2 * p)), blocks_of(PUSHES, 9), 9)
        assert torch.allclose(torch.cat(pieces, dim=1), referred(flow.flow, short, PUSHES, 9), atol=1e-4)


def streamed(
    decoder: S3GenDecoder,
    voice: dict[str, Any],
    sizes: Sequence[int],
    way: Any = "cached",
    seed: int = NOISE.seed,
    past: VoicePast | None = None,
) -> list[Samples]:
    """The sound that each push of so many `TOKENS` brings, and an empty one at the end."""
    stream = decoder.stream(voice, way, seed, past=past)
    parts = torch.split(TOKENS[: sum(sizes)], list(sizes))
    return [*(stream.push(part) for part in parts), stream.push([], final=True)]


@given(sizes=st.lists(st.integers(0, 12), max_size=5), window=st.sampled_from([6, 9, 75]))
@settings(max_examples=12)
def test_960_samples_a_token_whatever_the_chunks(
    decoder: S3GenDecoder, voice: dict[str, Any], sizes: list[int], window: int
) -> None:
    pieces = streamed(decoder, voice, sizes, partial(Cached, window=window))
    assert sum(map(len, pieces)) == SAMPLES_PER_TOKEN * sum(sizes)
    assert all(np.isfinite(piece).all() for piece in pieces)


@pytest.mark.parametrize("sizes", [[5] * 10, [1] * 50, [0, 30, 1, 1, 18], [50]], ids=["fives", "ones", "some", "all"])
def test_the_sound_is_that_of_the_references_mels(
    decoder: S3GenDecoder, voice: dict[str, Any], prompt: Prompt, sizes: list[int]
) -> None:
    """As soon as the vocoder knows enough of what follows: its first chunks are foreseen."""
    found = np.concatenate(streamed(decoder, voice, sizes, partial(Cached, window=9)))
    state, mels = decoder.vocoder.start(NOISE), referred(decoder.flow, prompt, sizes, 9)
    expected = decoder.vocoder.push(state, mels, final=True).numpy()
    exact = 15 * SAMPLES_PER_TOKEN
    assert found.shape == expected.shape
    assert np.abs(expected[exact:]).max() > 0.1
    # The mel frames' rounding adds up in the source's phase.
    assert np.abs(found - expected)[exact:].max() < 5e-4


def test_a_voices_past_is_the_same_computed_or_from_its_file(
    tiny: Path, decoder: S3GenDecoder, voice: dict[str, Any], tmp_path: Path
) -> None:
    file, sound = tmp_path / "past", partial(streamed, decoder, sizes=[6] * 6, way=partial(Cached, window=9), seed=0)
    other = voice | {"prompt_token": voice["prompt_token"].flip(-1)}
    for each in (voice, other):  # in one file, so that the other's must not be taken for it
        fresh = np.concatenate(sound(voice=each))
        for state in ("missing or another's", "there", "damaged"):
            if state == "damaged":
                file.write_bytes(file.read_bytes()[:-1000])
            before = file.stat().st_mtime_ns if file.exists() else None
            past = past_of(each, file, tiny, decoder)
            assert (file.stat().st_mtime_ns == before) == (state == "there")
            assert np.array_equal(np.concatenate(sound(voice=each, past=past)), fresh), state


def test_utterances_on_one_decoder_do_not_disturb_each_other(
    tiny: Path, decoder: S3GenDecoder, voice: dict[str, Any]
) -> None:
    """Their sound is that of a decoder of their own; a window of 9 tokens wraps in all of them."""
    way, before = partial(Cached, window=9), copy.deepcopy(voice)
    other = voice | {"prompt_token": voice["prompt_token"].flip(-1)}
    utterances = [(voice, 3), (other, 3), (other, 9)]
    alone = [streamed(S3GenDecoder.load(tiny), each, [6] * 6, way, seed) for each, seed in utterances]
    streams = [decoder.stream(each, way, seed) for each, seed in utterances]
    mixed = [[stream.push(part) for stream in streams] for part in torch.split(TOKENS[:36], 6)]
    mixed.append([stream.push([], final=True) for stream in streams])
    for found, expected in zip(zip(*mixed, strict=True), alone, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(value is None or torch.equal(value, voice[key]) for key, value in before.items())


def held(value: object, seen: dict[int, int] | None = None) -> int:
    """Bytes of all tensors that `value` leads to, those of models left out."""
    seen = {} if seen is None else seen
    if id(value) in seen or isinstance(value, torch.nn.Module):
        return 0
    seen[id(value)] = 0
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        known = storage.data_ptr() in seen
        seen[storage.data_ptr()] = 0
        return 0 if known else storage.nbytes()
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(held(each, seen) for each in value.values())
    if isinstance(value, list | tuple | set):
        return sum(held(each, seen) for each in value)
    slots = (name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()))
    parts = [getattr(value, name, None) for name in slots] + list(getattr(value, "__dict__", {}).values())
    return sum(held(each, seen) for each in parts)


def test_memory_stops_growing_once_the_window_is_full(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    stream, sizes = decoder.stream(voice, partial(Cached, window=9)), []
    for part in torch.split(TOKENS, 5):
        stream.push(part)
        sizes.append(held(stream))
    frames = 2 * (10 + 9)
    assert isinstance(stream._strategy, Cached)
    assert held(stream._strategy.flow) > 2 * 3 * 2 * frames * 16 * 4  # steps, layers, keys and values, width, bytes
    assert len(set(sizes[4:])) == 1


@pytest.mark.slow
def test_streamed_mels_are_the_references_at_full_size(full: Path, full_decoder: S3GenDecoder) -> None:
    flow = full_decoder.flow
    prompt = flow.prompt(torch.load(full / "conds.pt", weights_only=True)["gen"])
    cached, sizes, window = CachedFlow(flow), [10, 1, 0, 14, 5], 15
    pieces = decoded(cached, cached.voice(prompt, NOISE.prompt(prompt.frames)), blocks_of(sizes, window), window)
    expected = referred(flow, prompt, sizes, window)
    assert expected.abs().max() > 1
    assert torch.allclose(torch.cat(pieces, dim=1), expected, atol=1e-4)
