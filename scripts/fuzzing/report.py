"""Counts what a run of `fuzz.py` finds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

FEWEST: Final = 40
"""The fewest values from which growth can be told. In the beginning, every process grows."""


def growth(values: Sequence[float]) -> float:
    """How much larger the last quarter is than the second; 0 if there are too few values.

    Parameters
    ----------
    values
        Measurements at even distances in time.
    """
    if len(values) < FEWEST:
        return 0.0
    quarter = len(values) // 4
    return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])


@dataclass
class Report:
    """The results so far."""

    cases: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sound: float = 0.0
    found: dict[str, list[int]] = field(default_factory=dict)
    """For each fault, the numbers of the cases with it."""
    replaced: int = 0
    memory: list[list[float]] = field(default_factory=list)
    """The memory of each process that has run cases."""
    allocated: list[list[float]] = field(default_factory=list)
    """The part of it that is allocated, without what the C library holds for reuse."""

    def growth(self) -> float:
        """Megabytes, of the process that lived longest."""
        return growth(max(self.memory, key=len, default=[]))

    def growth_of_allocated(self) -> float:
        """The same for the allocated part."""
        return growth(max(self.allocated, key=len, default=[]))

    def as_json(self) -> dict[str, Any]:
        """All counts."""
        return {
            "cases": sum(self.cases.values()),
            "by_kind": dict(self.cases),
            "refused": dict(self.refused),
            "sound_s": round(self.sound, 1),
            "faults": self.found,
            "replaced": self.replaced,
            "growth_mb": round(self.growth(), 1),
            "allocated_growth_mb": round(self.growth_of_allocated(), 1),
        }

    def text(self) -> str:
        """The counts for people."""
        faults = f"{len(self.found)} faults in {sum(map(len, self.found.values()))} cases" if self.found else "no fault"
        first = (
            f"{sum(self.cases.values())} cases, {self.sound / 60:.0f} min of sound, {faults}, "
            f"memory {self.growth():+.1f} MB, allocated {self.growth_of_allocated():+.1f} MB, "
            f"{self.replaced} processes replaced"
        )
        return "\n".join((first, f"cases: {_listed(self.cases)}", f"refused: {_listed(self.refused)}"))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
