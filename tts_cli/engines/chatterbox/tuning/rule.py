"""The rule of `auto`: the most faithful way of computing that is fast enough here; if none is, the fastest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tts_cli.engines.chatterbox.options import PRECISIONS, STRATEGIES

LIMIT: Final = 0.8
"""The largest RTF that leaves room for a machine that is busy at times."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of computing."""

    device: str
    """One of `options.DEVICES`."""
    precision: str
    """One of `options.PRECISIONS`."""
    strategy: str
    """One of `options.STRATEGIES`."""
    threads: int
    """All threads that compute, as `--threads` counts them."""

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.device}, {self.precision}, {self.strategy}, {threads}"


@dataclass(frozen=True, slots=True)
class Row:
    """A way of computing, timed."""

    way: Way
    rtf: float
    """In blocks of `search.BLOCK` tokens, while T3, flow and vocoder compute at the same time."""
    least: bool = False
    """Whether `rtf` is only a lower bound, calculated from the parts. The whole was then not timed."""
    token: float | None = None
    """Seconds that T3 takes for a token, alone."""
    flow: float | None = None
    """Seconds that the flow takes for a block, alone."""
    vocoder: float | None = None
    """Seconds that the vocoder takes for a block, alone."""
    large: float | None = None
    """The RTF in blocks of `search.LARGE` tokens."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The row that `choose` has chosen."""

    row: Row
    holds: bool
    """Whether it is fast enough."""

    @property
    def why(self) -> str:
        """The reason in a few words."""
        if self.holds:
            return f"the most faithful of those that hold an RTF of {LIMIT:g}"
        return f"nothing that was timed holds an RTF of {LIMIT:g}, and this is the fastest"


def closeness(way: Way) -> tuple[int, int]:
    """How close to fp32 decoded whole a way is: the smaller, the closer.

    The strategy comes first, because two strategies are further apart than two precisions.

    Examples
    --------
    >>> closeness(Way("cpu", "int8", "context", 2)) < closeness(Way("cpu", "fp32", "cached", 2))
    True
    """
    return STRATEGIES.index(way.strategy), PRECISIONS.index(way.precision)


def choose(
    rows: Iterable[Row], device: str | None = None, precision: str | None = None, threads: int | None = None
) -> Choice | None:
    """Choose a way of computing.

    Parameters
    ----------
    rows
        What was timed. Rows that have only a lower bound are never chosen.
    device, precision, threads
        What the user asks for: only rows that have it are chosen. None if it is left to the rule.

    Returns
    -------
    Choice or None
        The closest to fp32 decoded whole that has an RTF of `LIMIT` or less; of two that are as close, the faster. If
        there is none, the fastest; of two that are as fast, the closer. None if no row fits.

    Examples
    --------
    >>> near = Row(Way("cpu", "fp32", "context", 2), 1.9)
    >>> far = Row(Way("cpu", "int8", "cached", 2), 0.7)
    >>> choose([near, far]).row is far, choose([near, far], precision="fp32").row is near, choose([])
    (True, True, None)
    """
    asked = {"device": device, "precision": precision, "threads": threads}
    fitting = [
        row
        for row in rows
        if not row.least and all(value in (None, getattr(row.way, name)) for name, value in asked.items())
    ]
    if holding := [row for row in fitting if row.rtf <= LIMIT]:
        return Choice(min(holding, key=lambda row: (closeness(row.way), row.rtf)), holds=True)
    if fitting:
        return Choice(min(fitting, key=lambda row: (row.rtf, closeness(row.way))), holds=False)
    return None
