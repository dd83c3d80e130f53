"""Speak random and damaged input until the time is over, and report all faults.

    python scripts/fuzz.py --minutes 10 --seed 1 [--engine builtin|chatterbox] [--json]
    python scripts/fuzz.py --seed 1 --case 4711 [--engine …]         that case alone, with its inputs

The inputs are texts, option values, voice files, recordings, and texts that arrive in pieces. Each case depends on the
seed and its number only. It must end within two minutes, raise nothing but `TTSError`, give finite samples within ±1.5,
and leave no thread, open file or temporary file. Memory must not grow (`GROWTH`). Chatterbox speaks with tiny random
weights, which are made first. Cases run in a worker process, which is replaced if a case crashes or hangs it. Linux
only.

The exit code is 1 if a fault was found or no case was run. The inputs of a fault are in the folder of `--findings`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pprint
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from fuzzing.bench import Bench
from fuzzing.report import Report
from fuzzing.surroundings import make_checkpoint, surroundings
from fuzzing.worker import LONGEST, attempt, plan_of, work

GROWTH: Final = 64
"""Megabytes by which the memory of the last quarter of a run may exceed that of its second."""
SCRIPT: Final = Path(__file__).resolve()


class Watch:
    """Starts workers one after the other, and listens to them.

    Parameters
    ----------
    options
        The arguments of the script.
    folder
        Where the worker's files are.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.report = Report()
        self.until = time.time() + 60 * options.minutes
        self.last, self.kind = -1, ""

    def run(self) -> Report:
        """Until the time is over."""
        while time.time() < self.until:
            ended = self._one_worker()
            if ended is None:
                break
            self.report.replaced += 1
            self._fault(self.last, f"{self.kind}: {ended}", (self.folder / "stderr").read_text(errors="replace"), "")
        growth = self.report.growth()
        if growth > GROWTH:
            self._fault(self.last, f"memory grew by {growth:.0f} MB, more than {GROWTH}", "", "")
        return self.report

    def _one_worker(self) -> str | None:
        """Until it ends: how, if that was not when it should."""
        self.report.memory.append([])
        self.report.allocated.append([])
        command = [sys.executable, str(SCRIPT), *command_line(self.options), "--worker", str(self.last + 1)]
        command += ["--until", str(self.until), "--folder", str(self.folder)]
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        with (self.folder / "stderr").open("wb") as err:
            process = subprocess.Popen(command, env=self.environment(), stderr=err, **streams)
        assert process.stdout is not None
        with process, process.stdout as output:
            while line := _line(output, LONGEST, process.pid):
                self._hear(json.loads(line))
            if line is None:
                process.kill()
                process.wait()
                return f"no end after {LONGEST} s"
        return f"the process ended with {process.returncode}" if process.returncode else None

    def environment(self) -> dict[str, str]:
        """Of a worker: what the one before it left in the folder for temporary files is gone."""
        environment = surroundings(self.folder)
        for left in Path(environment["TMPDIR"]).iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        if self.options.engine == "chatterbox":
            environment["TTS_MODEL_DIR"] = str(self.folder / "checkpoint")
        return environment

    def _hear(self, what: dict[str, Any]) -> None:
        if "begin" in what:
            self.last, self.kind = what["begin"], what["kind"]
        elif "end" in what:
            self.report.cases[what["kind"]] += 1
            self.report.sound += what["seconds"]
            if what["refused"]:
                self.report.refused[what["refused"]] += 1
        elif "fault" in what:
            self.report.cases[what["kind"]] += 1
            self._fault(what["fault"], what["signature"], what["trace"], what["plan"])
        else:
            self.report.memory[-1].append(what["memory"])
            self.report.allocated[-1].append(what["allocated"])

    def _fault(self, number: int, signature: str, trace: str, plan: str) -> None:
        new = signature not in self.report.found
        self.report.found.setdefault(signature, []).append(number)
        if not new:
            return
        again = ["python", "scripts/fuzz.py", *command_line(self.options), "--case", str(number)]
        said = trace.strip().splitlines()[-1:] or [""]
        print(f"{signature}: {said[0][:300]}\n    {' '.join(again)}", file=sys.stderr, flush=True)
        if not (plan or trace):
            return
        findings: Path = self.options.findings
        findings.mkdir(parents=True, exist_ok=True)
        file = findings / f"{self.options.engine}-{self.options.seed}-{number}.txt"
        file.write_text(f"{signature}\n\n{plan}\n\n{trace}", errors="backslashreplace")


def _line(output: IO[bytes], seconds: float, process: int) -> bytes | None:
    """The next line, b"" at the end, None if it does not come in time. A worker writes whole lines at once.

    On a busy machine, the time in which a thread of the process could run and has no processor does not count.
    """
    waited, before = 0.0, delays(process)
    while waited < seconds:
        began = time.monotonic()
        ready, _, _ = select.select([output], [], [], min(seconds, 1.0))
        if ready:
            return output.readline()
        after = delays(process)
        delayed = max((after[thread] - before[thread] for thread in after.keys() & before.keys()), default=0.0)
        waited += max(0.0, time.monotonic() - began - delayed)
        before = after
    return None


def delays(process: int) -> dict[str, float]:
    """For how many seconds each thread of a process has waited for a processor so far; none if it has ended.

    Parameters
    ----------
    process
        The number of the process.
    """
    found = {}
    with contextlib.suppress(OSError):
        for thread in Path("/proc", str(process), "task").iterdir():
            found[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
    return found


def command_line(options: argparse.Namespace) -> list[str]:
    """The arguments of the script.

    Parameters
    ----------
    options
        The arguments, parsed.
    """
    return ["--engine", options.engine, "--seed", str(options.seed)]


def one_case(options: argparse.Namespace, bench: Bench) -> int:
    """Show one case and its result.

    Parameters
    ----------
    options
        The arguments of the script.
    bench
        What the case needs.
    """
    plan = plan_of(bench, options.seed, options.case)
    pprint.pprint(plan, width=110)
    done, signature, trace = attempt(plan, bench)
    print(done if done is not None else f"{trace}\n{signature}")
    return 0 if done is not None else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, or show one case.

    Parameters
    ----------
    arguments
        The arguments of the script; None for those of the process.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("builtin", "chatterbox"), default="builtin")
    parser.add_argument("--case", type=int, metavar="N", help="carry out this case alone, and show it")
    parser.add_argument(
        "--findings", type=Path, default=Path("fuzz-findings"), metavar="DIR", help="where inputs are kept"
    )
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    for hidden, kind in (("--worker", int), ("--until", float), ("--folder", Path)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker is not None:
        work(_bench(options, options.folder), options.seed, options.worker, options.until)
        return 0
    with tempfile.TemporaryDirectory(prefix="tts-fuzz-") as name:
        folder = Path(name)
        if options.engine == "chatterbox":
            make_checkpoint(folder / "checkpoint")
        watch = Watch(options, folder)
        if options.case is not None:
            os.environ.update(watch.environment())
            tempfile.tempdir = None
            return one_case(options, _bench(options, folder))
        report = watch.run()
    print(json.dumps(report.as_json()) if options.json else report.text())
    return 1 if report.found or not report.cases else 0


def _bench(options: argparse.Namespace, folder: Path) -> Bench:
    return Bench(options.engine, folder / "case", folder / "checkpoint" if options.engine == "chatterbox" else None)


if __name__ == "__main__":
    sys.exit(main())
