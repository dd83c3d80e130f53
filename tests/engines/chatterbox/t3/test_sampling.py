"""How a token is drawn, and what ends speech that has no end of its own."""

import itertools
from collections.abc import Iterable
from itertools import islice, repeat
from typing import Any

import pytest
import torch

from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.t3.sampling import (
    DEAD_AIR,
    DEAD_AIR_CAP,
    MAX_TOKENS,
    SILENCE,
    Guard,
    Sampler,
    token_budget,
)
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS, START
from tts_cli.errors import ModelError, UsageError


def spoken(guard: Guard, tokens: Iterable[int]) -> int:
    """How many of `tokens` are spoken until the guard stops them."""
    for count, token in enumerate(tokens, start=1):
        if guard.stops(token):
            return count
    return -1


@pytest.mark.parametrize("token", sorted(DEAD_AIR))
def test_the_guard_stops_endless_dead_air_of_every_token(token: int) -> None:
    guard = Guard(900)
    assert spoken(guard, repeat(token)) == DEAD_AIR_CAP
    assert guard.verdict == "stopped after 2 s of silence; try another --seed"


def test_the_guard_stops_dead_air_of_mixed_tokens() -> None:
    assert SILENCE in DEAD_AIR
    guard = Guard(900)
    assert spoken(guard, [3700, *cycle(DEAD_AIR, 240)]) == 1 + DEAD_AIR_CAP


def test_the_guard_leaves_pauses_alone() -> None:
    """ "Hello world." as greedy decoding was seen to say it, and then pauses just short of the cap."""
    hello = [3700, 4218, 4218, *range(100, 120), 4218, 4218, 4218, 4218]
    pauses = [*cycle(DEAD_AIR, DEAD_AIR_CAP - 1), 17] * 5
    guard = Guard(900)
    assert spoken(guard, [*hello, 17, *pauses]) == -1
    assert guard.verdict == ""


def test_the_guard_says_when_speech_outgrew_its_text() -> None:
    guard = Guard(75)
    assert spoken(guard, range(100, 300)) == 75
    assert guard.verdict == "stopped after 3 s, the longest it may take; try another --seed"


def test_without_a_budget_only_the_models_own_limit_stops_speech() -> None:
    guard = Guard(None)
    assert spoken(guard, repeat(4218)) == MAX_TOKENS
    assert guard.verdict == "stopped after 40 s, the longest it may take; try another --seed"


def cycle(tokens: Iterable[int], count: int) -> list[int]:
    return list(islice(itertools.cycle(sorted(tokens)), count))


def test_damaged_weights_are_named() -> None:
    sampler = Sampler(Sampling(), torch.Generator(), SPEECH_IDS)
    with pytest.raises(ModelError, match="NaN"):
        sampler.draw(torch.full((SPEECH_IDS,), torch.nan))


def test_the_start_token_is_penalised_once() -> None:
    sampling = Sampling(temperature=1, top_k=0, top_p=1, repetition_penalty=10)
    logits = torch.zeros(SPEECH_IDS)
    logits[START] = 30.0
    logits[5] = 20.0
    sampler = Sampler(sampling, torch.Generator(), SPEECH_IDS)
    assert sampler.draw(logits) == 5
    assert sampler.draw(logits) == START


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"repetition_penalty": 0.0},
    ],
)
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_the_budget_grows_with_the_text_and_leaves_room_for_slow_speech() -> None:
    sentence = "The quick brown fox jumps over the lazy dog."
    slow = len(sentence) / 10 * 25  # tokens at ten characters a second
    assert 1.3 * slow < token_budget(sentence) < 3 * slow
    assert token_budget("1000000") > token_budget("aaaaaaa")
    assert token_budget("9876543210 " * 5) > 50 * 0.67 * 25, "a digit of a long number is 10 letters, of 15 a second"
    assert token_budget("") < token_budget("a")
    assert token_budget("a" * 10_000) == MAX_TOKENS


def test_only_what_can_be_drawn_is_drawn() -> None:
    """By top-k, then by top-p of what is left."""
    logits = torch.full((SPEECH_IDS,), -20.0)
    logits[:4] = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    for top_k, top_p, allowed in [(2, 1, {0, 1}), (0, 0.75, {0, 1}), (0, 0.9, {0, 1, 2}), (3, 0.5, {0})]:
        sampling = Sampling(temperature=1, top_k=top_k, top_p=top_p, repetition_penalty=1)
        sampler = Sampler(sampling, torch.Generator().manual_seed(0), SPEECH_IDS)
        assert {sampler.draw(logits) for _ in range(100)} == allowed


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("temperature", [0, 0.8])
def test_one_bad_logit_is_enough(bad: float, temperature: float) -> None:
    logits = torch.zeros(SPEECH_IDS)
    logits[77] = bad
    with pytest.raises(ModelError, match="NaN or infinity"):
        Sampler(Sampling(temperature=temperature), torch.Generator(), SPEECH_IDS).draw(logits)
