"""Speaks one text several times in a warm process, and measures times, seams and distances.

Times are defined in `metrics`, seams and distances in `distance`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import median
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tts_cli.audio import AudioChunk, Samples
from tts_cli.distance import Seam, chunk_distances, distance, frame_of, seam
from tts_cli.engines import Engine, SpeakOptions
from tts_cli.engines.options import declared, make, values
from tts_cli.errors import UsageError
from tts_cli.measure.timeline import Arrival
from tts_cli.metrics import Meter, Snapshot
from tts_cli.pipeline import deliver, synthesize
from tts_cli.playback import NullSink
from tts_cli.session import Session
from tts_cli.text.sources import text_argument

TEXT: Final = "The first words of this sentence are heard before the last ones have been computed."
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the least and the greatest of some measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """The spread of all values that are not None; None if all are."""
        known = [value for value in values if value is not None]
        return cls(median(known), min(known), max(known)) if known else None


@dataclass(frozen=True, slots=True)
class Gain:
    """How many times better than a baseline a way of speaking is, calculated from medians."""

    ttfa: float | None
    """The baseline's TTFA over ours; None if one of them has no audible sample."""
    rtf: float
    """The baseline's RTF over ours."""

    @classmethod
    def of(cls, ours: Sequence[Snapshot], baseline: Sequence[Snapshot]) -> Gain:
        """The gain of some runs over others. All runs must have sound."""
        ttfa, ttfas = (Spread.of([run.ttfa for run in runs]) for runs in (ours, baseline))
        rtf, rtfs = (median(run.computed / run.sound for run in runs) for runs in (ours, baseline))
        return cls(ttfas.median / ttfa.median if ttfa and ttfas else None, rtfs / rtf)


@dataclass(frozen=True, slots=True)
class Row:
    """One way of speaking, measured."""

    way: str
    """The strategy; the mode if the engine has no strategies; or the name of the baseline."""
    baseline: bool
    runs: tuple[Snapshot, ...]
    arrivals: tuple[Arrival, ...]
    """The chunks of the last run."""
    seam: Seam | None
    """None if there is only one chunk."""
    distances: tuple[float, ...] | None
    """The distance of each chunk to the sound computed whole, in dB; None if there is nothing to compare with."""
    distance: float | None
    """The distance of all chunks, likewise."""
    against: Mapping[str, Gain]
    """The gain over each baseline, by its name; empty for a baseline."""

    def spread(self, value: Callable[[Snapshot], float | None]) -> Spread | None:
        """The spread of the measurement that `value` reads, over all runs."""
        return Spread.of([value(run) for run in self.runs])


@dataclass(frozen=True, slots=True)
class _Run:
    measured: Snapshot
    arrivals: tuple[Arrival, ...]
    samples: Samples
    joins: list[int]
    """The indices of the samples at which all chunks but the first begin."""


def ways(session: Session, options: SpeakOptions, strategy: str | None) -> list[str]:
    """The names of the rows to measure.

    Parameters
    ----------
    session, options
        Have the engine and the mode.
    strategy
        A strategy of the engine, `all`, or `auto` or None for the engine's choice.

    Returns
    -------
    list of str
        Strategies; the mode, if the engine has no strategies or all sound is computed first.

    Raises
    ------
    UsageError
        If the engine has no such strategy.
    """
    engine = session.engine
    choice = list(session.spec.strategies) if options.mode == "streaming" else []
    if strategy is None:
        return [engine.strategy if choice else options.mode]
    if not choice:
        what = "mode simple" if session.spec.strategies else f"the {engine.name} engine"
        raise UsageError(f"{what} has no strategies to choose from", "leave out --strategy")
    if strategy not in (ALL, "auto", *choice):
        raise UsageError(f"there is no strategy called {strategy!r}", f"choose: {', '.join((ALL, 'auto', *choice))}")
    return choice if strategy == ALL else [engine.strategy if strategy == "auto" else strategy]


def bench(
    session: Session,
    options: SpeakOptions,
    text: str,
    strategy: str | None = None,
    runs: int = 5,
    warmup: int = 1,
    progress: Callable[[str], None] = lambda _doing: None,
    clock: Callable[[], float] = time.perf_counter,
    baselines: Mapping[str, Engine] = MappingProxyType({}),
) -> list[Row]:
    """Speak a text several times, in one or several ways, and measure each.

    All ways take turns, so that a busy moment of the machine affects all of them.

    Parameters
    ----------
    session
        Has the engine and the voice.
    options
        How to speak.
    text
        The text.
    strategy
        As for `ways`.
    runs
        How many runs of each way count.
    warmup
        How many runs of each way come first and do not count. They load the voice and allocate memory.
    progress
        Called with a few words when something begins.
    clock
        A monotonic clock, in seconds.
    baselines
        Other engines, by name, that speak the same text in the same voice.

    Returns
    -------
    list of Row
        One for each way, then one for each baseline.

    Raises
    ------
    UsageError
        If the engine cannot do what is asked for.
    TTSError
        What the engines raise.

    Examples
    --------
    >>> import tts_cli
    >>> with tts_cli.load("builtin") as tts:
    ...     rows = bench(tts, tts.options({}), "Hello, world.", runs=1, warmup=0)
    >>> rows[0].way, rows[0].distance
    ('streaming', 0.0)
    """
    engine = session.engine
    chosen = ways(session, options, strategy)
    if "tokens" in declared(type(options)) and getattr(options, "tokens") is not None:  # noqa: B009
        _require_one_segment(session, text, "so many tokens for a text")
    if baselines:
        _require_one_segment(session, text, "upstream speaks a text whole, and not one")
    turns = [(way, engine, _by(way, options)) for way in chosen]
    turns += [(name, baseline, options) for name, baseline in baselines.items()]
    taken: list[list[_Run]] = [[] for _ in turns]
    for number in range(1 - warmup, runs + 1):
        for (way, speaker, how), done in zip(turns, taken, strict=True):
            progress(f"{way}: run {number} of {runs}" if number > 0 else f"{way}: warming up")
            run = _run(session, speaker, how, text, clock)
            if number > 0:
                done.append(run)
    whole = None
    if options.mode == "streaming":
        progress("whole, to compare with")
        whole = _run(session, engine, replace(options, mode="simple"), text, clock).samples
    own, others = taken[: len(chosen)], dict(zip(baselines, taken[len(chosen) :], strict=True))
    rate = engine.sample_rate
    rows = [_row(way, done, whole, others, rate) for way, done in zip(chosen, own, strict=True)]
    return rows + [replace(_row(name, done, None, {}, rate), baseline=True) for name, done in others.items()]


def _by(way: str, options: SpeakOptions) -> SpeakOptions:
    """`options` with the strategy `way`, if it is one."""
    return make(type(options), values(options) | {"strategy": way}) if way != options.mode else options


def _require_one_segment(session: Session, text: str, why: str) -> None:
    segments = session.segments(text_argument(text), Meter())
    if segments.take() is not None and segments.take() is not None:
        raise UsageError(f"{why} that is spoken in several pieces", "shorten the text")


class _Recorder(NullSink):
    """Stores the sound, and the time at which each chunk came."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self.arrivals: list[Arrival] = []
        self.pieces: list[Samples] = []

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Store the chunk and its time."""
        self.arrivals.append(Arrival(self._clock() - self._began, chunk.seconds, needed))
        self.pieces.append(chunk.samples)


def _run(session: Session, engine: Engine, options: SpeakOptions, text: str, clock: Callable[[], float]) -> _Run:
    meter = Meter(clock, age=lambda: 0.0)
    segments = session.segments(text_argument(text), meter)
    recorder = _Recorder(clock)
    with closing(synthesize(engine, session.voice, options, segments, meter)) as chunks:
        deliver(chunks, segments, recorder, meter, all_computed=options.mode == "simple")
    joins = list(accumulate(len(piece) for piece in recorder.pieces))[:-1]
    return _Run(meter.snapshot(), tuple(recorder.arrivals), np.concatenate(recorder.pieces), joins)


def _row(way: str, runs: Sequence[_Run], whole: Samples | None, others: Mapping[str, Sequence[_Run]], rate: int) -> Row:
    """The row of some runs. With one seed they have the same sound, so the last one's is compared."""
    last, measured = runs[-1], tuple(run.measured for run in runs)
    if whole is not None and not len(whole) == len(last.samples) >= frame_of(rate):
        whole = None
    return Row(
        way=way,
        baseline=False,
        runs=measured,
        arrivals=last.arrivals,
        seam=seam(last.samples, last.joins, rate) if last.joins else None,
        distances=None if whole is None else tuple(chunk_distances(last.samples, whole, last.joins, rate)),
        distance=None if whole is None else distance(last.samples, whole, rate),
        against={name: Gain.of(measured, [run.measured for run in other]) for name, other in others.items()},
    )


def report(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as `--json` prints them. The fields are described in docs/lab/experiments.md."""
    return [
        {
            "strategy": row.way,
            "ttfa_ms": _milliseconds(row.spread(lambda run: run.ttfa)),
            "total_ms": _milliseconds(row.spread(lambda run: run.total)),
            "compute_ms": _milliseconds(row.spread(lambda run: run.computed)),
            "audio_ms": round(row.runs[-1].sound * 1000, 1),
            "rtf": _rounded(row.spread(lambda run: run.rtf), 1, 4),
            "longest_gap_ms": _milliseconds(row.spread(lambda run: run.longest_gap)),
            "chunks": row.runs[-1].chunks,
            "notices": list(row.runs[-1].notices),
            "seam": row.seam and {"spectral": round(row.seam.spectral, 3), "sample": round(row.seam.sample, 3)},
            "distance_db": None if row.distance is None else round(row.distance, 3),
            "chunk_distances_db": row.distances and [round(each, 3) for each in row.distances],
            "against": {
                name: {"ttfa": None if gain.ttfa is None else round(gain.ttfa, 2), "rtf": round(gain.rtf, 2)}
                for name, gain in row.against.items()
            },
        }
        for row in rows
    ]


def _milliseconds(spread: Spread | None) -> dict[str, float] | None:
    return _rounded(spread, 1000, 1)


def _rounded(spread: Spread | None, factor: float, digits: int) -> dict[str, float] | None:
    if spread is None:
        return None
    values = {"median": spread.median, "min": spread.low, "max": spread.high}
    return {name: round(value * factor, digits) for name, value in values.items()}
