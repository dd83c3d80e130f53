"""Every strategy turns tokens into 960 samples each, however they arrive; `context` comes near the whole."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.audio import Samples
from tts_cli.distance import chunk_distances, distance, log_mel, seam
from tts_cli.engines.chatterbox import SAMPLE_RATE, S3GenDecoder
from tts_cli.engines.chatterbox.options import STRATEGIES
from tts_cli.engines.chatterbox.proof.context_sizes import context_distances
from tts_cli.engines.chatterbox.s3gen.strategies import Context, Overlap
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN, SPEECH_VOCABULARY
from tts_cli.errors import UsageError

TOKENS = np.random.default_rng(5).integers(0, SPEECH_VOCABULARY, 60)
NAMES = sorted(STRATEGIES)


def streamed(decoder: S3GenDecoder, voice: dict[str, Any], way: Any, sizes: list[int], seed: int = 0) -> list[Samples]:
    stream, at, pieces = decoder.stream(voice, way, seed), 0, []
    for size in sizes:
        pieces.append(stream.push(TOKENS[at : at + size]))
        at += size
    return [*pieces, stream.push([], final=True)]


def lengths(pieces: list[Samples]) -> list[float]:
    return [len(piece) / SAMPLES_PER_TOKEN for piece in pieces]


@pytest.mark.parametrize("name", NAMES)
@given(sizes=st.lists(st.integers(0, 12), max_size=5))
@settings(max_examples=12)
def test_960_samples_a_token_whatever_the_chunks(
    decoder: S3GenDecoder, voice: dict[str, Any], name: str, sizes: list[int]
) -> None:
    pieces = streamed(decoder, voice, name, sizes)
    assert sum(map(len, pieces)) == SAMPLES_PER_TOKEN * sum(sizes)
    for piece in pieces:
        assert piece.dtype == np.float32
        assert piece.ndim == 1
        assert np.isfinite(piece).all()


def test_sound_comes_as_soon_as_the_tokens_allow(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    assert lengths(streamed(decoder, voice, "independent", [10, 10])) == [10, 10, 0]
    assert lengths(streamed(decoder, voice, "overlap", [10, 10])) == [8, 10, 2]
    assert lengths(streamed(decoder, voice, "context", [10, 10])) == [7, 10, 3]


def test_token_by_token(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    assert lengths(streamed(decoder, voice, "independent", [1] * 6)) == [1] * 6 + [0]
    assert lengths(streamed(decoder, voice, "overlap", [1] * 6)) == [0, 0, 1, 1, 1, 1, 2]
    assert lengths(streamed(decoder, voice, "context", [1] * 6)) == [0, 0, 0, 1, 1, 1, 3]


@pytest.mark.parametrize("name", NAMES)
def test_fewer_tokens_than_are_held_back(decoder: S3GenDecoder, voice: dict[str, Any], name: str) -> None:
    assert sum(lengths(streamed(decoder, voice, name, [1]))) == 1
    assert len(decoder.stream(voice, name).push(TOKENS[:1], final=True)) == SAMPLES_PER_TOKEN
    assert decoder.stream(voice, name).push([], final=True).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_after_its_end_a_stream_takes_nothing(decoder: S3GenDecoder, voice: dict[str, Any], name: str) -> None:
    stream = decoder.stream(voice, name)
    stream.push(TOKENS[:4], final=True)
    with pytest.raises(UsageError, match="has ended"):
        stream.push(TOKENS[:4])


def test_a_refused_push_leaves_the_stream_as_it_was(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    stream = decoder.stream(voice)
    with pytest.raises(UsageError):
        stream.push([SPEECH_VOCABULARY], final=True)
    assert len(stream.push(TOKENS[:5], final=True)) == 5 * SAMPLES_PER_TOKEN


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_fixes_the_sound(decoder: S3GenDecoder, voice: dict[str, Any], name: str) -> None:
    first, again, other = (np.concatenate(streamed(decoder, voice, name, [10, 10], seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_streams_do_not_know_each_other_and_leave_the_voice_alone(
    decoder: S3GenDecoder, voice: dict[str, Any], name: str
) -> None:
    alone, before = streamed(decoder, voice, name, [10, 10]), copy.deepcopy(voice)
    one, two = decoder.stream(voice, name), decoder.stream(voice, name, seed=9)
    mixed = []
    for at in (0, 10):
        mixed.append(one.push(TOKENS[at : at + 10].tolist()))
        two.push(torch.from_numpy(TOKENS[at + 5 : at + 12]))
    mixed.append(one.push(np.array([], dtype=np.int64), final=True))
    assert all(np.array_equal(a, b) for a, b in zip(alone, mixed, strict=True))
    assert all(value is None or torch.equal(value, voice[key]) for key, value in before.items())


def test_an_unknown_strategy_is_a_clear_error(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="context"):
        decoder.stream(voice, "magic")


@pytest.mark.parametrize("window", [None, 25, 0])
def test_context_in_one_push_is_the_whole(decoder: S3GenDecoder, voice: dict[str, Any], window: int | None) -> None:
    stream = decoder.stream(voice, partial(Context, window=window), seed=2)
    found = stream.push(TOKENS, final=True)
    assert np.abs(found - decoder.whole(voice, TOKENS, seed=2)).max() < 1e-4


def test_independent_chunks_begin_as_an_utterance_does_and_others_do_not(
    decoder: S3GenDecoder, voice: dict[str, Any]
) -> None:
    first, second, _ = streamed(decoder, voice, "independent", [10, 10])
    assert np.array_equal(first, decoder.whole(voice, TOKENS[:10]))
    assert not second[:480].any()
    for name in ("overlap", "context"):
        first, second, _ = streamed(decoder, voice, name, [10, 10])
        assert not first[:480].any()
        assert second[:480].all()


def test_overlap_fades_from_one_chunk_to_the_next(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    """In the middle of the overlap both chunks have the same share; outside of it one has all."""
    first, second, _ = streamed(decoder, voice, "overlap", [10, 10])
    strategy = decoder.stream(voice, Overlap)._strategy
    assert isinstance(strategy, Overlap)
    utterance = strategy.utterance
    with torch.inference_mode():
        before = utterance.alone(torch.from_numpy(TOKENS[:10]))().numpy()
        after = utterance.alone(torch.from_numpy(TOKENS[8:20]), 8, onset=False)().numpy()
    assert np.array_equal(first, before[: 8 * SAMPLES_PER_TOKEN])
    middle = SAMPLES_PER_TOKEN
    half = (before[9 * SAMPLES_PER_TOKEN] + after[middle]) / 2
    assert second[middle] == pytest.approx(half, abs=1e-3)
    assert np.allclose(second[2 * SAMPLES_PER_TOKEN :], after[2 * SAMPLES_PER_TOKEN : -2 * SAMPLES_PER_TOKEN])


def test_context_remembers_a_bounded_past(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    stream = decoder.stream(voice, partial(Context, window=7))
    sizes = []
    for at in range(0, 60, 5):
        stream.push(TOKENS[at : at + 5])
        context = stream._strategy
        assert isinstance(context, Context)
        kept = sum(tail.numel() for tail in context.state.tails.values())
        sizes.append((len(context.past), len(context.held), kept))
    assert sizes[-1][:2] == (7, 3)
    assert set(sizes[4:]) == {sizes[-1]}


def test_context_is_nearer_to_the_whole_than_other_noise_or_chunks_alone(
    decoder: S3GenDecoder, voice: dict[str, Any]
) -> None:
    whole = decoder.whole(voice, TOKENS)
    context, independent = (
        distance(np.concatenate(streamed(decoder, voice, name, [10] * 6)), whole, SAMPLE_RATE)
        for name in ("context", "independent")
    )
    assert context < 0.8 * independent
    assert context < 0.8 * distance(decoder.whole(voice, TOKENS, seed=1), whole, SAMPLE_RATE)


def test_the_table_of_distances(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    table = context_distances(decoder, voice, TOKENS[:30], windows=[0, None], lookaheads=[3])
    assert set(table) == {(0, 3), (None, 3)}
    assert all(len(chunks) == 4 for chunks in table.values())
    assert all(0 <= each < 20 for chunks in table.values() for each in chunks)


def test_distance_is_in_decibels() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    assert distance(sound, sound, SAMPLE_RATE) == 0
    assert distance(2 * sound, sound, SAMPLE_RATE) == pytest.approx(6.02, abs=0.01)
    assert log_mel(sound, SAMPLE_RATE).shape == (50, 80)
    louder = np.concatenate((sound[:12_000], 2 * sound[12_000:]))
    first, second = chunk_distances(louder, sound, [12_000], SAMPLE_RATE)
    assert first < 1
    assert second == pytest.approx(6, abs=0.2)


def test_a_tone_lies_in_its_mel_band() -> None:
    """1 kHz is 1000 mel by definition; the bands are spaced evenly up to 8 kHz, 2840 mel."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000).astype(np.float32)
    assert abs(int(log_mel(tone, SAMPLE_RATE)[25].argmax()) - 1000 / 2840 * 81) < 1.5


def test_a_seam_is_seen_where_it_is_and_nowhere_else() -> None:
    """A tone that jumps in phase at one place, and in pitch at another."""
    time = np.arange(24_000) / 24_000
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) + np.random.default_rng(0).normal(0, 1e-3, 24_000)
    clean = tone.astype(np.float32)
    smooth = seam(clean, list(range(1_000, 23_000, 1_111)), SAMPLE_RATE)
    assert smooth.spectral == pytest.approx(1, abs=0.2)
    assert smooth.sample == pytest.approx(1, abs=0.2)
    broken = np.concatenate((clean[:9_600], -clean[9_600 + 27 :]))
    assert seam(broken, [9_600], SAMPLE_RATE).sample > 5
    assert seam(broken, [12_000], SAMPLE_RATE).sample < 2
    higher = np.concatenate((clean[:9_600], (0.3 * np.sin(2 * np.pi * 900 * time[9_600:])).astype(np.float32)))
    assert seam(higher, [9_600], SAMPLE_RATE).spectral > 3
    assert seam(clean, [], SAMPLE_RATE) == seam(clean[:100], [50], SAMPLE_RATE)
