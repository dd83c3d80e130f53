"""Rows that are drawn together draw what each draws alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.chatterbox.t3.random_weights import random_prefix, random_t3
from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.precision.quantised_layers import Int8Linear
from tts_cli.engines.chatterbox.t3.batch import Batch, Row
from tts_cli.engines.chatterbox.t3.batch_step import BatchStep
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.t3.suffix import Suffix
from tts_cli.engines.chatterbox.weights.config import START, T3Config
from tts_cli.errors import ModelError

TEXTS = [[15496, 11, 995, 13, 50270], [1, 2, 3], list(range(100, 130)), [7]]
TOKENS = [5, 4299, 6000, 17]


@pytest.fixture(scope="module", params=["fp32", "int8"])
def t3(request: pytest.FixtureRequest) -> T3:
    return random_t3(request.param)


@pytest.fixture(scope="module")
def prefix() -> T3Prefix:
    return random_prefix(2, 375)


@pytest.fixture(scope="module")
def prefixes(prefix: T3Prefix) -> list[T3Prefix]:
    """Three voices of different lengths."""
    return [prefix, random_prefix(3, 120), random_prefix(4, 20)]


def logits(t3: T3, prefixes: list[T3Prefix], texts: list[list[int]]) -> list[torch.Tensor]:
    """The logits of each text and `TOKENS` after it, computed together."""
    step = t3.batch_step
    assert step is not None
    suffixes = [step.suffix() for _ in texts]

    def embedded(prefix: T3Prefix, suffix: Suffix, known: torch.Tensor) -> torch.Tensor:
        start = prefix.positions + suffix.filled
        return known + t3.tfmr.wpe.weight[start : start + len(known)]

    with torch.inference_mode():
        start = t3.speech_emb.weight[START][None]
        read = [torch.cat([t3.text_emb.weight[torch.tensor(text)], start]) for text in texts]
        found = [step(prefixes, [embedded(*each) for each in zip(prefixes, suffixes, read, strict=True)], suffixes)]
        for token in TOKENS:
            known = t3.speech_emb.weight[token][None]
            new = [embedded(prefix, suffix, known) for prefix, suffix in zip(prefixes, suffixes, strict=True)]
            found.append(step(prefixes, new, suffixes))
    return list(torch.stack(found, 1))


@pytest.mark.parametrize("company", [1, 2, 3, 4, 8])
def test_logits_are_the_same_alone_and_in_every_company(prefix: T3Prefix, company: int) -> None:
    t3 = random_t3("fp32")
    texts = (TEXTS * 2)[:company]
    for text, found in zip(texts, logits(t3, [prefix] * company, texts), strict=True):
        torch.testing.assert_close(found, t3.logits(prefix, text, TOKENS), rtol=0, atol=1e-4)


def test_rows_in_several_voices_have_the_logits_that_each_has_alone(prefixes: list[T3Prefix]) -> None:
    t3 = random_t3("fp32")
    voices = [prefixes[0], prefixes[0], prefixes[1], prefixes[2]]
    found = logits(t3, voices, TEXTS)
    for prefix, text, together in zip(voices, TEXTS, found, strict=True):
        torch.testing.assert_close(together, t3.logits(prefix, text, TOKENS), rtol=0, atol=1e-4)
    others = logits(t3, [prefixes[1]] * 4, TEXTS)
    assert (others[0] - found[0]).abs().max() > 0.01, "the voice matters"


@pytest.mark.parametrize("company", [1, 2, 4, 8])
def test_int8_is_as_near_to_fp32_in_company_as_alone(prefix: T3Prefix, company: int) -> None:
    full, quantised = random_t3("fp32"), random_t3("int8")
    found = logits(quantised, [prefix] * company, (TEXTS * 2)[:company])
    for text, together in zip(TEXTS * 2, found, strict=False):
        exact = full.logits(prefix, text, TOKENS)
        alone = (quantised.logits(prefix, text, TOKENS) - exact).norm() / exact.norm()
        assert (together - exact).norm() / exact.norm() < max(2 * alone, 0.02)


def test_steps_in_company_pack_int8_weights_one_by_one_and_results_stay_the_same(prefix: T3Prefix) -> None:
    t3 = random_t3("int8")
    layers = [each for each in t3.modules() if isinstance(each, Int8Linear)]

    def waiting() -> int:
        return sum(layer.codes is not None for layer in layers)

    unpacked = waiting()
    alone, together = logits(t3, [prefix], TEXTS[:1]), logits(t3, [prefix] * 4, TEXTS)
    steps = 1 + len(TOKENS)
    assert waiting() == max(0, unpacked - steps)
    for _ in range(len(layers)):
        again = logits(t3, [prefix] * 4, TEXTS)
        for found, expected in zip(again, together, strict=True):
            assert torch.equal(found, expected)
    assert waiting() <= 1, "only the map of the speaker's embedding is left, which no step computes"
    assert torch.equal(logits(t3, [prefix], TEXTS[:1])[0], alone[0])


def test_a_row_alone_packs_int8_weights_when_it_is_long_and_settling_packs_the_rest(
    prefix: T3Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts_cli.engines.chatterbox.t3.batch_step.SHORT", 3)
    t3 = random_t3("int8")
    layers = [each for each in t3.modules() if isinstance(each, Int8Linear)]
    unpacked = sum(layer.codes is not None for layer in layers)
    found = logits(t3, [prefix], TEXTS[:1])[0]
    steps = 1 + len(TOKENS)
    assert sum(layer.codes is not None for layer in layers) == max(0, unpacked - (steps - 3))
    t3.settle()
    assert all(layer.codes is None for layer in layers)
    assert torch.equal(logits(t3, [prefix], TEXTS[:1])[0], found)


@pytest.mark.parametrize("piece", [1, 7, 16, 30])
def test_a_text_that_is_read_in_pieces_gives_the_same_logits(prefix: T3Prefix, piece: int) -> None:
    t3, text = random_t3("fp32"), TEXTS[2]
    assert t3.batch_step is not None
    row = Batch(t3).row(TokenRequest(prefix, text, budget=3))
    with torch.inference_mode():
        while row.reading:
            found = t3.batch_step([prefix], [row.positions(piece)], [row.suffix])
    torch.testing.assert_close(found, t3.logits(prefix, text, []), rtol=0, atol=1e-4)


def test_in_company_a_long_text_is_read_in_pieces_while_the_others_draw(prefix: T3Prefix) -> None:
    batch = Batch(T3_FOR_VISITS)
    heard, following = (batch.row(TokenRequest(prefix, TEXTS[text], Sampling(temperature=0))) for text in (0, 2))
    assert batch.step([heard])[0] is not None
    drawn = [batch.step([heard, following]) for _ in range(3)]
    assert all(first is not None for first, _ in drawn)
    assert [second is None for _, second in drawn] == [True, False, False]


@dataclass(frozen=True)
class Visit:
    """A row that joins before a step and leaves after some tokens, if it has not ended by itself."""

    voice: int
    text: int
    seed: int
    joins: int
    stays: int
    budget: int


T3_FOR_VISITS = random_t3("fp32")
VISITS = st.builds(
    Visit,
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 12),
    st.integers(1, 20),
    st.integers(1, 12),
)


@pytest.fixture(scope="module")
def drawn_alone(prefixes: list[T3Prefix]) -> dict[tuple[int, int, int], list[int]]:
    t3 = random_t3("fp32")
    return {
        (voice, text, seed): list(t3.tokens(TokenRequest(prefixes[voice], TEXTS[text], seed=seed, budget=12)))
        for voice, text, seed in itertools.product(range(3), range(4), range(2))
    }


@settings(max_examples=60)
@given(visits=st.lists(VISITS, min_size=1, max_size=8))
def test_rows_may_join_and_leave_at_every_step(
    prefixes: list[T3Prefix], drawn_alone: dict[tuple[int, int, int], list[int]], visits: list[Visit]
) -> None:
    batch = Batch(T3_FOR_VISITS)
    rows: dict[int, Row] = {}
    drawn: dict[int, list[int]] = {}
    for number in range(40):
        for index, visit in enumerate(visits):
            if visit.joins == number:
                request = TokenRequest(prefixes[visit.voice], TEXTS[visit.text], seed=visit.seed, budget=visit.budget)
                rows[index], drawn[index] = batch.row(request), []
            elif index in rows and len(drawn[index]) >= visit.stays:
                del rows[index]
        rows = {index: row for index, row in rows.items() if not row.ended}
        if rows:
            for index, token in zip(rows, batch.step(list(rows.values())), strict=True):
                drawn[index] += [] if token is None else [token]
    for index, visit in enumerate(visits):
        expected = drawn_alone[visit.voice, visit.text, visit.seed][: min(visit.budget, visit.stays)]
        assert drawn[index] == expected


def test_rows_in_one_voice_stand_together_so_that_its_prefix_is_read_once(
    prefixes: list[T3Prefix], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[T3Prefix]] = []
    step = BatchStep.__call__

    def noted(self: BatchStep, voices: list[T3Prefix], *others: Any) -> torch.Tensor:
        given.append(voices)
        return step(self, voices, *others)

    monkeypatch.setattr(BatchStep, "__call__", noted)
    batch = Batch(T3_FOR_VISITS)
    batch.step([batch.row(TokenRequest(prefixes[voice], TEXTS[0])) for voice in (0, 1, 0, 2, 1, 0)])
    assert list(map(id, given[0])) == [id(prefixes[voice]) for voice in (0, 0, 0, 1, 1, 2)]


def test_a_row_whose_logits_are_not_finite_fails_alone(
    t3: T3, prefix: T3Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(t3)
    good, bad = (batch.row(TokenRequest(prefix, TEXTS[0], Sampling(temperature=0))) for _ in range(2))
    monkeypatch.setattr(
        Row, "positions", lambda row, most, own=Row.positions: own(row, most) * (torch.nan if row is bad else 1)
    )
    token, nothing = batch.step([good, bad])
    assert token is not None
    assert nothing is None
    assert isinstance(bad.error, ModelError)
    assert bad.ended
    assert not good.ended


def test_a_suffix_grows_in_blocks_and_stays_as_it_was(t3: T3) -> None:
    step = t3.batch_step
    assert step is not None
    suffix = step.suffix()
    rooms = []
    for position in range(300):
        suffix.reserve(1)
        suffix.keys[:, :, :, position] = suffix.values[:, :, position] = position
        suffix.filled += 1
        assert suffix.keys.shape[3] == suffix.values.shape[2]
        rooms.append(suffix.keys.shape[3])
    assert sorted(set(rooms)) == [Suffix.BLOCK, 2 * Suffix.BLOCK, 3 * Suffix.BLOCK]
    assert suffix.keys[1, 2, 3, :300].tolist() == suffix.values[1, 2, :300, 3].tolist() == list(range(300))


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_the_number_of_threads_changes_no_bit_of_a_token(kind: str) -> None:
    """With the width of Turbo. So the number can be chosen by time, and a seed still fixes the sound."""
    t3 = T3(T3Config(n_layer=2)).eval()
    chance = torch.Generator().manual_seed(1)
    for weight in t3.parameters():
        weight.data.normal_(0, 0.02, generator=chance)
    convert(t3, kind)
    step, before = BatchStep(t3), torch.get_num_threads()
    voice = T3Prefix(*(torch.randn(shape, generator=chance) for shape in ((2, 16, 64, 376), (2, 16, 376, 64))))
    text, tokens = torch.randn(20, 1024, generator=chance), torch.randn(3, 1, 1024, generator=chance)
    found = []
    try:
        for number in (1, 2, 4):
            suffix = step.suffix()
            torch.set_num_threads(2)
            step([voice], [text], [suffix])
            torch.set_num_threads(number)
            found.append(torch.cat([step([voice], [token], [suffix]) for token in tokens]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_bf16_and_int4_have_no_step_of_several_rows() -> None:
    for kind in ("bf16", "int4"):
        t3 = T3(T3Config(n_layer=1, n_embd=64, n_head=4)).eval()
        convert(t3, kind)
        assert not BatchStep.computes(t3)
