"""What is timed, and in which order, on machines of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tts_cli.engines.chatterbox.precision.choice import Precision
from tts_cli.engines.chatterbox.tuning.rule import Row, Way
from tts_cli.engines.chatterbox.tuning.search import BLOCK, BUDGET, LARGE, Block, least_rtf, tune
from tts_cli.errors import MissingError

INT8 = Precision("int8", "fp32", "int8")
FP32, BF16 = Precision("fp32", "fp32", "fp32"), Precision("bf16", "bf16", "bf16")


@dataclass
class Simulated:
    """A machine that takes no time: its clock moves by what it would take."""

    tokens: Mapping[str, float]
    """Seconds a token, by device and precision."""
    blocks: Mapping[str, tuple[float, float]]
    """Seconds of flow and vocoder, by device, S3Gen's precision and strategy."""
    kinds: Mapping[str, Mapping[str, Precision]]
    cores: int = 2
    slower: float = 1.2
    """How much longer stages take at the same time."""
    faults: Mapping[str, str] = field(default_factory=dict)
    breaks: Mapping[str, Exception] = field(default_factory=dict)
    """What a device raises when all stages compute on it."""
    fastest_threads: int | None = None
    now: float = 0.0
    asked: list[str] = field(default_factory=list)

    @property
    def devices(self) -> list[str]:
        return list(self.kinds)

    def fault(self, device: str) -> str:
        return self.faults.get(device, "")

    def precisions(self, device: str) -> Mapping[str, Precision]:
        return self.kinds[device]

    def token(self, device: str, precision: str, threads: int) -> float:
        assert threads == self.cores
        self.asked.append(f"token {device} {precision}")
        self.now += 10 * self.tokens[f"{device} {precision}"]
        return self.tokens[f"{device} {precision}"]

    def block(self, way: Way, short: bool) -> Block:
        kind = self.kinds[way.device][way.precision].s3gen
        flow, vocoder = self.blocks[f"{way.device} {kind} {way.strategy}"]
        if short:
            flow /= 3
        self.asked.append(f"{'short ' if short else ''}block {way.device} {kind} {way.strategy}")
        self.now += 2 * (flow + vocoder)
        return Block(flow, vocoder, short)

    def rtf(self, way: Way, block: int) -> float:
        self.asked.append(f"whole {way.device} {way.precision} {way.strategy} {way.threads} {block}")
        if way.device in self.breaks:
            raise self.breaks[way.device]
        token = self.tokens[f"{way.device} {way.precision}"]
        flow, vocoder = self.blocks[f"{way.device} {self.kinds[way.device][way.precision].s3gen} {way.strategy}"]
        rtf = self.slower * least_rtf(way, token, Block(flow, vocoder))
        if self.fastest_threads is not None and way.threads != self.fastest_threads:
            rtf *= 2
        self.now += rtf * 2
        return rtf


def xeon() -> Simulated:
    """Two cores without bf16, as measured."""
    return Simulated(
        {"cpu fp32": 0.094, "cpu int8": 0.036},
        {"cpu fp32 context": (4.0, 0.4), "cpu fp32 cached": (0.25, 0.15)},
        {"cpu": {"fp32": FP32, "int8": INT8}},
    )


def mac(context: float = 0.6) -> Simulated:
    return Simulated(
        {"mps fp32": 0.02, "cpu fp32": 0.03, "cpu int8": 0.012},
        {
            "mps fp32 context": (context, 0.05),
            "mps fp32 cached": (0.12, 0.05),
            "cpu fp32 context": (2.0, 0.1),
            "cpu fp32 cached": (0.1, 0.05),
        },
        {"mps": {"fp32": FP32}, "cpu": {"fp32": FP32, "int8": INT8}},
        cores=8,
    )


def chosen_on(machine: Simulated) -> str:
    found = tune(machine, clock=lambda: machine.now)
    way = found.choice.row.way
    return f"{way.device} {way.precision} {way.strategy} {way.threads}"


def test_where_nothing_is_fast_enough_only_the_fastest_is_timed_whole() -> None:
    machine = xeon()
    assert chosen_on(machine) == "cpu int8 cached 2"
    wholes = [each for each in machine.asked if each.startswith("whole")]
    assert wholes == [f"whole cpu int8 cached 2 {BLOCK}", f"whole cpu int8 cached 2 {LARGE}"]
    assert "block cpu fp32 context" not in machine.asked, "the shorter reference shows that it is too slow"


def test_the_first_that_is_fast_enough_ends_the_search() -> None:
    machine = mac(context=0.2)
    assert chosen_on(machine) == "mps fp32 context 8"
    assert [each for each in machine.asked if each.startswith("whole")] == [
        f"whole mps fp32 context 8 {BLOCK}",
        f"whole mps fp32 context 8 {LARGE}",
    ]


def test_a_mac_whose_gpu_is_too_slow_for_context() -> None:
    machine = mac()
    found = tune(machine, clock=lambda: machine.now)
    assert found.choice.holds
    assert found.choice.row.way == Way("mps", "fp32", "cached", 8)
    bounds = {row.way.strategy for row in found.rows if row.least and row.way.device == "mps"}
    assert bounds == {"context"}


def test_a_bound_is_below_what_is_measured() -> None:
    machine = xeon()
    found = tune(machine, clock=lambda: machine.now)
    (measured,) = (row for row in found.rows if not row.least)
    assert measured.token is not None
    assert measured.flow is not None
    assert measured.vocoder is not None
    assert least_rtf(measured.way, measured.token, Block(measured.flow, measured.vocoder)) < measured.rtf


def test_a_gpu_that_computes_something_else_is_left_out() -> None:
    machine = mac()
    machine.faults = {"mps": "compute mel frames right"}
    assert chosen_on(machine).startswith("cpu")
    assert "mps: it cannot compute mel frames right" in tune(machine, clock=lambda: machine.now).left_out
    assert not any("mps" in each for each in machine.asked)


def test_a_gpu_that_fails_is_left_out_with_its_error() -> None:
    machine = mac()
    machine.breaks = {"mps": RuntimeError("out of memory")}
    found = tune(machine, clock=lambda: machine.now)
    assert {row.way.device for row in found.rows} == {"cpu"}
    assert "mps: it failed (RuntimeError: out of memory)" in found.left_out


@pytest.mark.parametrize("error", [RuntimeError("a kernel"), MissingError("no weights", "fetch them")])
def test_a_cpu_that_fails_ends_the_search(error: Exception) -> None:
    machine = xeon()
    machine.breaks = {"cpu": error}
    with pytest.raises(type(error), match=str(error)):
        tune(machine, clock=lambda: machine.now)


def test_fewer_threads_are_tried_on_many_cores() -> None:
    machine = mac()
    machine.kinds = {"cpu": {"fp32": FP32, "int8": INT8}}
    machine.fastest_threads = 4
    found = tune(machine, clock=lambda: machine.now)
    assert found.choice.row.way.threads == 4
    assert {row.way.threads for row in found.rows} == {8, 4, 2}


def test_late_nothing_is_begun_that_the_choice_can_do_without() -> None:
    machine = xeon()
    machine.slower = 20.0  # the one whole takes longer than the budget
    found = tune(machine, clock=lambda: machine.now)
    assert machine.now > BUDGET
    assert found.choice.row.large is None
    assert [each for each in machine.asked if each.startswith("whole")] == [f"whole cpu int8 cached 2 {BLOCK}"]


def with_bf16(context: float) -> Simulated:
    """Two cores with bf16, whose T3 is fast in int8. A block takes the flow `context` seconds with `context`."""
    return Simulated(
        {"cpu fp32": 0.064, "cpu bf16": 0.0275, "cpu int8": 0.014},
        {
            "cpu fp32 context": (4.0, 0.2),
            "cpu bf16 context": (context, 0.1),
            "cpu fp32 cached": (0.19, 0.09),
            "cpu bf16 cached": (0.1, 0.066),
        },
        {"cpu": {"fp32": FP32, "bf16": BF16, "int8": Precision("int8", "bf16", "int8")}},
    )


def test_a_bound_from_a_shorter_reference_is_not_taken_over_by_a_precision_for_which_it_shows_nothing() -> None:
    machine = with_bf16(0.9)
    assert chosen_on(machine) == "cpu int8 cached 2"
    assert "block cpu bf16 context" in machine.asked
    assert not [each for each in machine.asked if each.startswith("whole") and "context" in each]


def test_however_late_it_is_the_most_promising_way_is_timed() -> None:
    class Slow(Simulated):
        def rtf(self, way: Way, block: int) -> float:
            found = super().rtf(way, block)
            if way.strategy == "cached":
                return found
            self.now += BUDGET
            return 4.31

    whole = with_bf16(0.3)
    machine = Slow(whole.tokens, whole.blocks, whole.kinds)
    assert chosen_on(machine) == "cpu int8 cached 2"
    assert f"whole cpu int8 context 2 {BLOCK}" in machine.asked


def test_what_is_done_is_told_with_the_rows_so_far() -> None:
    told: list[tuple[str, int]] = []
    machine = xeon()

    def progress(doing: str, rows: list[Row]) -> None:
        told.append((doing, len(rows)))

    tune(machine, progress, lambda: machine.now)  # type: ignore[arg-type]
    assert told[0] == ("T3 in fp32 on cpu", 0)
    assert told[-1] == (f"int8, cached on cpu, in blocks of {LARGE} tokens", 4)


def test_what_is_never_timed_is_named() -> None:
    machine = xeon()
    words = " ".join(tune(machine, clock=lambda: machine.now).left_out)
    assert all(name in words for name in ("int4", "overlap", "independent", "bf16"))
