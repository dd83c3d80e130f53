"""Send signals to `tts` at moments spread evenly over its run, check how it ends, and print a table.

    python scripts/sweep.py [--moments 100] [--in-turn] [--only "speak to a file"] [--signals INT TERM HUP KILL]
        [--rehearsals 3]

Each run is a process of its own in a folder of its own. It must end with exit code 130, 143 or 129 (Ctrl-C, SIGTERM,
SIGHUP), without a traceback, and must leave no incomplete result and no draft. After `kill -9`, and after a download
that was interrupted, the script starts the command again and checks that it deletes or completes what was left. Linux
only; the speaker needs pulseaudio.

Python takes some milliseconds to start before `tts` can handle a signal. Until then, Ctrl-C, SIGTERM and SIGHUP kill
the process, and Ctrl-C may print Python's own traceback, with exit code 1. Such runs are counted in a column of their
own. They must leave nothing either.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from sweeping.cases import Case, cases
from sweeping.table import Swept, markdown
from sweeping.trial import Trial, run

SIGNALS = {name: signal.Signals[f"SIG{name}"] for name in ("INT", "TERM", "HUP", "KILL")}


class Sweep:
    """Sweeps one case with each of the signals. Faults are printed on standard error.

    Parameters
    ----------
    case
        The case.
    scratch
        A folder for the folders of its runs.
    rehearsals
        How many runs without a signal there are first: their median says how long the command takes.
    """

    def __init__(self, case: Case, scratch: Path, rehearsals: int) -> None:
        self._case = case
        self._rehearsals = rehearsals
        self._scratch = scratch
        self._numbers = count()
        self._seconds = 0.0
        self._faults = 0

    def over(self, moments: int, signals: Sequence[signal.Signals], in_turn: bool) -> Iterator[Swept]:
        """Sweep so many moments, with every signal at each, or with one signal at each if `in_turn` is set.

        Parameters
        ----------
        moments
            How many moments, spread evenly over the run.
        signals
            The signals.
        in_turn
            Whether each moment has one signal, in turn, and not each of them.
        """
        self._seconds = statistics.median(self._rehearse() for _ in range(self._rehearsals))
        for place, number in enumerate(signals):
            chosen = range(place, moments, len(signals)) if in_turn else range(moments)
            trials: list[Trial] = []
            silences: list[float] = []
            leaving = self._faults = 0
            for index in chosen:
                trial, left = self._try(number, self._seconds * (index + 0.5) / moments)
                trials.append(trial)
                leaving += left
                if self._case.recording is not None and trial.phase == "running":
                    self._case.recording.wait_for_seconds(0.2)
                    silences.append(max(0.0, self._case.recording.sounded - trial.signalled))
            yield Swept(self._case.name, number.name, self._seconds, trials, silences, leaving, self._faults)

    def _rehearse(self) -> float:
        folder, environment = self._folder()
        trial = run(self._case.arguments, environment, folder)
        self._expect(trial.code == 0 and not trial.is_raw, trial, "without a signal")
        self._done(folder)
        return trial.moment

    def _try(self, number: signal.Signals, moment: float) -> tuple[Trial, bool]:
        """Run one trial; return whether it left something for the next run."""
        folder, environment = self._folder()
        trial = run(self._case.arguments, environment, folder, number, moment)
        what = f"{number.name} at {trial.moment:.3f} s ({trial.phase})"
        caught = 128 + number
        # Python that is interrupted before it has begun dies of the signal, or says so at length and exits with 1.
        early = {-number, caught} | ({1} if number == signal.SIGINT else set())
        codes = {"starting": early, "running": {caught, 0}, "over": {0}}[trial.phase]
        killed = number == signal.SIGKILL
        self._expect(trial.code in ({-number, 0} if killed else codes), trial, what)
        self._expect(not trial.is_raw or (trial.phase == "starting" and number == signal.SIGINT), trial, what)
        self._expect(not self._case.damage(folder), trial, f"{what}: {self._case.damage(folder)}")
        drafts = self._case.left(folder, self._case.unfinished)
        self._expect(killed or not drafts, trial, f"{what}: {drafts} left")
        left = bool(drafts or self._case.left(folder, self._case.continued))
        if left:
            self._next_run(folder, environment, what)
        self._done(folder)
        return trial, left

    def _next_run(self, folder: Path, environment: dict[str, str], what: str) -> None:
        """Check that the next run completes its work and deletes what was left."""
        trial = run(self._case.arguments, environment, folder)
        self._expect(trial.code == 0, trial, f"the run after {what}")
        left = self._case.left(folder, self._case.unfinished + self._case.continued)
        self._expect(not left, trial, f"the run after {what}: {left} still there")
        self._expect(not self._case.damage(folder), trial, f"the run after {what}: {self._case.damage(folder)}")

    def _expect(self, holds: bool, trial: Trial, what: str) -> None:
        if not holds:
            self._faults += 1
            print(f"{self._case.name}, {what}: code {trial.code}\n{trial.complaints[-2000:]}", file=sys.stderr)

    def _folder(self) -> tuple[Path, dict[str, str]]:
        folder = self._scratch / f"run {next(self._numbers)}"
        return folder, self._case.prepare(folder)

    def _done(self, folder: Path) -> None:
        for path in self._scratch.glob(f"{folder.name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--rehearsals", type=int, default=3, help="runs without a signal, which say how long it takes")
    parser.add_argument("--in-turn", action="store_true", help="one signal at each moment, not all of them")
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument("--only", action="append", metavar="NAME", help="this command; may be given again")
    args = parser.parse_args()
    for name in ("INT", "TERM", "HUP"):  # a shell starts what it runs in the background deaf to Ctrl-C
        signal.signal(SIGNALS[name], signal.default_int_handler)
    swept: list[Swept] = []
    faults = 0
    with tempfile.TemporaryDirectory() as scratch, suppress(KeyboardInterrupt):  # what has been swept is shown
        os.environ.setdefault("TTS_CACHE_DIR", f"{scratch}/cache")
        os.environ.setdefault("TTS_CONFIG_DIR", f"{scratch}/config")  # without the user's settings
        with cases(Path(scratch), lambda name: args.only is None or name in args.only) as chosen:
            if not chosen:
                parser.error(f"there is no command {' or '.join(map(repr, args.only))}")
            for case in chosen:
                sweep = Sweep(case, Path(scratch), args.rehearsals)
                for each in sweep.over(args.moments, [SIGNALS[name] for name in args.signals], args.in_turn):
                    swept.append(each)
                    faults += each.faults
    print(markdown(swept))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
