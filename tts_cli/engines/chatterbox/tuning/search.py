"""Decides which ways of computing are timed on a machine, and in which order.

The parts of every way are timed first, each alone. From them follows a lower bound of its RTF. Ways whose bound is
already too high are not timed any further, because that would take longest. The others are timed as they compute in
truth, from the most faithful on, until one is fast enough. If none is, the ways that could be the fastest are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tts_cli.audio import TOKEN_RATE
from tts_cli.engines.chatterbox.options import STRATEGIES
from tts_cli.engines.chatterbox.precision.choice import Precision
from tts_cli.engines.chatterbox.schedule.threads import Threads
from tts_cli.engines.chatterbox.tuning.rule import LIMIT, Choice, Row, Way, choose, closeness
from tts_cli.errors import TTSError

BLOCK: Final = 10
"""Tokens in the blocks whose RTF the rule judges. With `--chunk auto`, the first blocks of a text are hardly larger."""
LARGE: Final = 25
"""Tokens in the largest blocks of `--chunk auto`, those of later segments."""
CLOSEST: Final = STRATEGIES[:2]
"""The strategies that are timed."""
BUDGET: Final = 14.0
"""Seconds after which only what a choice needs is still begun."""
LEFT_OUT: Final = (
    "int4: further from fp32 than int8, and not faster",
    "overlap and independent: further from the whole than cached, and they compute more",
)
"""What is never timed, and why."""


@dataclass(frozen=True, slots=True)
class Block:
    """The time of one block of `BLOCK` tokens, in seconds."""

    flow: float
    vocoder: float
    least: bool = False
    """Whether it is only a lower bound, timed with a shorter reference."""


class Machine(Protocol):
    """Times things. `timing.Timing` does so on this machine; tests have machines that return given numbers."""

    @property
    def cores(self) -> int:
        """How many cores may compute."""
        ...

    @property
    def devices(self) -> Sequence[str]:
        """Names in `options.DEVICES`."""
        ...

    def fault(self, device: str) -> str:
        """What the device cannot do, in words that follow "cannot"; empty if its results are right."""
        ...

    def precisions(self, device: str) -> Mapping[str, Precision]:
        """Those for which the device has instructions, by name."""
        ...

    def token(self, device: str, precision: str, threads: int) -> float:
        """Time T3 alone.

        Parameters
        ----------
        device
            One of `devices`.
        precision
            A name of `precisions`.
        threads
            The threads of an engine, of which T3 has its share.

        Returns
        -------
        float
            Seconds for a token.
        """
        ...

    def block(self, way: Way, short: bool) -> Block:
        """The time of a block, flow and vocoder each alone. `short`: with a shorter reference."""
        ...

    def rtf(self, way: Way, block: int) -> float:
        """The RTF in blocks of so many tokens, while T3, flow and vocoder compute at the same time."""
        ...


@dataclass(frozen=True, slots=True)
class Tuned:
    """What `tune` has found."""

    rows: tuple[Row, ...]
    """From the most faithful on."""
    choice: Choice
    left_out: tuple[str, ...]
    """What was not timed, and why."""
    seconds: float
    """What it took."""


Progress = Callable[[str, Sequence[Row]], None]


def tune(
    machine: Machine,
    progress: Progress = lambda _doing, _rows: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Tuned:
    """Time what a choice needs.

    Parameters
    ----------
    machine
        Times it.
    progress
        Called with a few words when something begins, and with the rows so far.
    clock
        Returns the time in seconds.

    Returns
    -------
    Tuned
        All rows, and the choice.

    Raises
    ------
    TTSError
        If the CPU cannot compute, as loading the models does. A GPU that fails is left out.
    """
    return _Search(machine, progress, clock).run()


class _Search:
    def __init__(self, machine: Machine, progress: Progress, clock: Callable[[], float]) -> None:
        self._machine, self._progress, self._clock = machine, progress, clock
        self._begun = clock()
        self._rows: dict[Way, Row] = {}
        self._left_out = list(LEFT_OUT)

    def run(self) -> Tuned:
        for device in self._machine.devices:
            with self._leaving_out(device):
                self._parts(device)
        self._most_faithful()
        if not self._holds():
            self._fastest()
        self._other_threads()
        self._large_blocks()
        choice = choose(self._rows.values())
        assert choice is not None
        return Tuned(tuple(self._sorted()), choice, tuple(self._left_out), self._clock() - self._begun)

    def _parts(self, device: str) -> None:
        """Time the parts of every way on a device, and add a row with the lower bound of each."""
        if device != "cpu":
            self._tell(f"comparing {device} with the CPU")
            if fault := self._machine.fault(device):
                self._left_out.append(f"{device}: it cannot {fault}")
                return
        precisions = self._machine.precisions(device)
        if "bf16" not in precisions:
            self._left_out.append(f"bf16 on {device}: it has no instructions for it")
        blocks: dict[tuple[str, str], Block] = {}
        for name, kinds in precisions.items():
            self._tell(f"T3 in {name} on {device}")
            token = self._machine.token(device, name, self._machine.cores)
            for strategy in CLOSEST:
                way = Way(device, name, strategy, self._machine.cores)
                block = blocks.get((kinds.s3gen, strategy))
                if block is None or (block.least and least_rtf(way, token, block) <= LIMIT):
                    block = blocks[kinds.s3gen, strategy] = self._block(way, token)
                self._rows[way] = Row(
                    way, least_rtf(way, token, block), True, token, None if block.least else block.flow, block.vocoder
                )

    def _block(self, way: Way, token: float) -> Block:
        """The time of a block; with a shorter reference, if that shows already that the way is too slow."""
        self._tell(f"S3Gen in {way.precision}, {way.strategy}, on {way.device}")
        if way.strategy != "cached":  # it decodes the reference with every block
            block = self._machine.block(way, short=True)
            if least_rtf(way, token, block) > LIMIT:
                return block
        return self._machine.block(way, short=False)

    def _most_faithful(self) -> None:
        """Time the ways that may be fast enough, the most faithful first, until one is."""
        for row in self._sorted():
            if row.rtf <= LIMIT and self._in_time():
                self._whole(row.way)
                if self._holds():
                    return

    def _fastest(self) -> None:
        """Time the ways that may be faster than all that were timed: the most promising one even after `BUDGET`."""
        for number, row in enumerate(sorted(self._rows.values(), key=lambda row: row.rtf)):
            fastest = min((each.rtf for each in self._rows.values() if not each.least), default=None)
            if row.least and (fastest is None or (row.rtf < fastest and (number == 0 or self._in_time()))):
                self._whole(row.way)

    def _other_threads(self) -> None:
        """Time the chosen way with fewer threads, on a CPU with many cores: many threads can slow each other down."""
        chosen = choose(self._rows.values())
        if chosen is None or chosen.row.way.device != "cpu":
            return
        threads = chosen.row.way.threads // 2
        while threads >= 2 and self._in_time():
            way = replace(chosen.row.way, threads=threads)
            self._rows[way] = replace(chosen.row, way=way, least=True, token=None, flow=None, vocoder=None)
            self._whole(way)
            if self._rows[way].rtf > chosen.row.rtf:
                return
            threads //= 2

    def _large_blocks(self) -> None:
        chosen = choose(self._rows.values())
        if chosen is not None and self._in_time():
            way = chosen.row.way
            self._tell(f"{way.precision}, {way.strategy} on {way.device}, in blocks of {LARGE} tokens")
            with self._leaving_out(way.device):
                self._rows[way] = replace(chosen.row, large=self._machine.rtf(way, LARGE))

    def _whole(self, way: Way) -> None:
        """Time a way with all its stages computing at the same time."""
        if way in self._rows:
            self._tell(f"{way.precision}, {way.strategy} on {way.device}, all at the same time")
            with self._leaving_out(way.device):
                self._rows[way] = replace(self._rows[way], rtf=self._machine.rtf(way, BLOCK), least=False)

    def _holds(self) -> bool:
        return any(row.rtf <= LIMIT and not row.least for row in self._rows.values())

    def _in_time(self) -> bool:
        return self._clock() - self._begun < BUDGET

    def _sorted(self) -> list[Row]:
        return sorted(self._rows.values(), key=lambda row: (closeness(row.way), row.rtf))

    def _tell(self, doing: str) -> None:
        self._progress(doing, self._sorted())

    @contextmanager
    def _leaving_out(self, device: str) -> Iterator[None]:
        """Leave out a GPU that fails in the `with` block. An error of the CPU is raised."""
        try:
            yield
        except TTSError:
            raise
        except Exception as error:
            if device == "cpu":
                raise
            self._rows = {way: row for way, row in self._rows.items() if way.device != device}
            self._left_out.append(f"{device}: it failed ({f'{type(error).__name__}: {error}'[:100]})")


def least_rtf(way: Way, token: float, block: Block) -> float:
    """A lower bound of the RTF of a way.

    No stage can be faster than alone, and on a CPU all stages together have no more than its cores.

    Parameters
    ----------
    way
        The way; its threads are all cores.
    token
        Seconds that T3 takes for a token, alone.
    block
        The time of a block, its stages alone.

    Returns
    -------
    float
        Compute time over sound time.

    Examples
    --------
    >>> least_rtf(Way("cpu", "int8", "cached", 2), 0.03, Block(0.24, 0.16))
    0.875
    """
    t3, flow, vocoder = TOKEN_RATE * token, TOKEN_RATE * block.flow / BLOCK, TOKEN_RATE * block.vocoder / BLOCK
    alone = max(t3, flow, vocoder)
    if way.device != "cpu":
        return alone
    threads = Threads.share(way.threads)
    return max(alone, (t3 * threads.t3 + (flow + vocoder) * threads.s3gen) / way.threads)
