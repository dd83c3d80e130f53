"""Measure `tts` with the built-in voice as whole processes, and print a Markdown table: medians, and the spread.

    python scripts/benchmark.py [--runs 9] [--speaker]

Every run is a process of its own, so that start-up counts; one run before, not counted, warms the file cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years. Nobody hurried."
)


def measure(arguments: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak resident megabytes and standard output of one `tts` process."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "tts_cli", *arguments]
    began = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
    )
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"tts {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, usage.ru_maxrss * kilobyte / 1e6, text


def row(name: str, runs: int, run: Callable[[], float], form: str) -> str:
    """One line of the table, from `runs` runs after one that is not counted."""
    run()
    values = sorted(run() for _ in range(runs))
    low, middle, high = (format(value, form) for value in (values[0], statistics.median(values), values[-1]))
    return f"| {name} | {middle} | {low} – {high} |"


def speaking(text: str, field: str, scale: float = 1.0, *output: str) -> Callable[[], float]:
    """A run that speaks `text` and gives one field of its report."""
    arguments = ["speak", text, "--engine", "builtin", "--json", *output]
    return lambda: float(json.loads(measure(arguments)[2])[field]) * scale


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--speaker", action="store_true", help="measure through the loudspeaker as well")
    args = parser.parse_args()
    runs = args.runs
    os.chdir(Path(__file__).resolve().parent.parent)
    nowhere = ("-o", os.devnull)
    memory = ["speak", TEXT, "--engine", "builtin", *nowhere]
    print("| measure | median | spread |\n|---|---|---|")
    print(row("`tts --help`, wall seconds", runs, lambda: measure(["--help"])[0], ".3f"))
    print(
        row(
            'cold start of `tts speak "Hello."`, seconds',
            runs,
            speaking("Hello.", "cold_start_ms", 1e-3, *nowhere),
            ".3f",
        )
    )
    if args.speaker:
        print(row("the same through a loudspeaker, seconds", runs, speaking("Hello.", "cold_start_ms", 1e-3), ".3f"))
    print(row('TTFA of `tts speak "Hello."`, milliseconds', runs, speaking("Hello.", "ttfa_ms", 1, *nowhere), ".1f"))
    print(row("RTF, 13 s of speech", runs, speaking(TEXT, "rtf", 1, *nowhere), ".4f"))
    print(row("peak memory, 13 s of speech, MB", runs, lambda: measure(memory)[1], ".0f"))


if __name__ == "__main__":
    main()
