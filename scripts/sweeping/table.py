"""What a sweep found, as a table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweeping.trial import Trial

HEADINGS = (
    *("command", "signal", "moments", "exit code", "killed while Python starts", "had ended"),
    *("end after, median (worst)", "silence after, median (worst)", "left, and swept by the next run", "faults"),
)


@dataclass(frozen=True)
class Swept:
    """All trials of one command with one signal."""

    case: str
    signal: str
    seconds: float
    """How long the command takes without a signal."""
    trials: Sequence[Trial]
    silences: Sequence[float]
    """Seconds from a signal to the last sound, if the command plays sound."""
    leaving: int
    """After how many trials files were left that the next run removes or continues with."""
    faults: int

    def row(self) -> Iterator[str]:
        """Its cells, as `HEADINGS` names them."""
        running = [trial for trial in self.trials if trial.phase == "running"]
        yield f"{self.case} ({self.seconds:.1f} s)"
        yield self.signal
        yield str(len(self.trials))
        yield ", ".join(map(str, sorted({trial.code for trial in running}))) or "–"
        starting = [trial.moment for trial in self.trials if trial.phase == "starting"]
        yield f"{len(starting)} (to {1000 * max(starting):.0f} ms)" if starting else "0"
        yield str(sum(trial.phase == "over" for trial in self.trials))
        yield _times([trial.ending for trial in running])
        yield _times(self.silences)
        yield str(self.leaving)
        yield str(self.faults)


def markdown(swept: Sequence[Swept]) -> str:
    """One row for each command and signal.

    Parameters
    ----------
    swept
        The results.
    """
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(tuple(each.row()) for each in swept)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "–"
    return f"{1000 * statistics.median(seconds):.0f} ms ({1000 * max(seconds):.0f})"
