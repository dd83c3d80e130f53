"""The rule of `auto` on machines that are tables of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.engines.chatterbox.options import DEVICES, PRECISIONS, STRATEGIES
from tts_cli.engines.chatterbox.tuning.rule import LIMIT, Row, Way, choose, closeness

Table = list[tuple[str, float]]

FAST_GPU: Table = [
    ("cuda fp32 context", 0.6),
    ("cuda bf16 context", 0.3),
    ("cuda fp32 cached", 0.4),
    ("cuda bf16 cached", 0.2),
    ("cpu int8 cached", 0.7),
]
MAC: Table = [("mps fp32 context", 1.74), ("mps fp32 cached", 0.55), ("cpu int8 cached", 0.6), ("cpu fp32 cached", 1.4)]
FAST_CPU: Table = [("cpu fp32 context", 3.0), ("cpu fp32 cached", 0.8), ("cpu int8 cached", 0.5)]
SLOW_CPU: Table = [("cpu fp32 context", 9.0), ("cpu fp32 cached", 2.4), ("cpu int8 cached", 1.2)]


def rows(table: Table, threads: int = 2) -> list[Row]:
    ways = [(words.split(), rtf) for words, rtf in table]
    return [Row(Way(device, precision, strategy, threads), rtf) for (device, precision, strategy), rtf in ways]


def named(table: Table, **asked: str | int) -> tuple[str, bool] | None:
    chosen = choose(rows(table), **asked)  # type: ignore[arg-type]
    if chosen is None:
        return None
    way = chosen.row.way
    return f"{way.device} {way.precision} {way.strategy}", chosen.holds


@pytest.mark.parametrize(
    ("table", "chosen"),
    [
        pytest.param(FAST_GPU, ("cuda fp32 context", True), id="the most faithful, though others are faster"),
        pytest.param(MAC, ("mps fp32 cached", True), id="a Mac, where context is too slow"),
        pytest.param(FAST_CPU, ("cpu fp32 cached", True), id="an RTF of exactly the limit is fast enough"),
        pytest.param(SLOW_CPU, ("cpu int8 cached", False), id="nothing is fast enough: the fastest"),
        pytest.param(
            [("cpu fp32 cached", 0.6), ("mps fp32 cached", 0.5)],
            ("mps fp32 cached", True),
            id="a tie: the faster",
        ),
        pytest.param(
            [("cpu int8 cached", 1.5), ("cpu fp32 cached", 1.5)], ("cpu fp32 cached", False), id="as fast: the closer"
        ),
        pytest.param([("cpu int4 context", 0.8), ("cpu fp32 cached", 0.5)], ("cpu int4 context", True), id="order"),
        pytest.param([], None, id="nothing measured"),
    ],
)
def test_the_rule(table: Table, chosen: tuple[str, bool] | None) -> None:
    assert named(table) == chosen


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({"device": "cpu"}, ("cpu int8 cached", True)),
        ({"precision": "bf16"}, ("cuda bf16 context", True)),
        ({"device": "cpu", "precision": "fp32"}, None),
        ({"threads": 2}, ("cuda fp32 context", True)),
        ({"threads": 3}, None),
    ],
)
def test_only_what_is_asked_for_counts(asked: dict[str, str | int], chosen: tuple[str, bool] | None) -> None:
    assert named(FAST_GPU, **asked) == chosen


def test_a_lower_bound_is_no_measurement() -> None:
    bound = Row(Way("cpu", "fp32", "context", 2), 0.1, least=True)
    (slow,) = rows([("cpu int8 cached", 2.0)])
    chosen = choose([bound, slow])
    assert chosen is not None
    assert chosen.row is slow
    assert choose([bound]) is None


def test_fewer_threads_are_chosen_where_they_are_faster() -> None:
    many, few = (rows([("cpu int8 cached", rtf)], threads)[0] for rtf, threads in ((1.1, 8), (0.7, 4)))
    chosen = choose([many, few])
    assert chosen is not None
    assert chosen.row is few


WAYS = st.builds(
    Way, st.sampled_from(DEVICES), st.sampled_from(PRECISIONS), st.sampled_from(STRATEGIES), st.sampled_from([2, 4])
)
ROWS = st.lists(st.builds(Row, WAYS, st.floats(0.01, 20), st.booleans()), max_size=12, unique_by=lambda row: row.way)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_choice_is_the_best_by_the_rule_and_no_order_of_rows_changes_it(found: list[Row], chance: object) -> None:
    chosen = choose(found)
    measured = [row for row in found if not row.least]
    assert (chosen is None) == (not measured)
    if chosen is None:
        return
    fast = [row for row in measured if row.rtf <= LIMIT]
    assert chosen.holds == bool(fast)
    if fast:
        assert closeness(chosen.row.way) == min(closeness(row.way) for row in fast)
    else:
        assert chosen.row.rtf == min(row.rtf for row in measured)
    shuffled = list(found)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    again = choose(shuffled)
    assert again is not None
    assert (closeness(again.row.way), again.row.rtf) == (closeness(chosen.row.way), chosen.row.rtf)
