"""Measure whole processes of `tts`, and print Markdown: the machine, and a table of medians and spreads.

    python scripts/benchmark.py [--runs 9] [--speaker]                the built-in voice
    python scripts/benchmark.py --model-dir FOLDER [--runs 5]         Chatterbox Turbo: start, memory, a long utterance
    python scripts/benchmark.py --nano-dir FOLDER [--runs 5]          Chatterbox Nano: RTF

Every run is a process of its own, so starting counts. One run before them is not counted. It fills the file cache, and
the weight cache and the prefix of the voice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years. Nobody hurried."
)
TTS = ("-m", "tts_cli")
NOWHERE = ("-o", os.devnull)
LOOK = 0.02
"""Seconds between two looks at a process's memory."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended. Memory is in megabytes, at its peak."""

    wall: float
    cpu: float
    """Seconds that it computed."""
    resident: float
    anonymous: float
    """Of its own: no mapped file. 0 where the system does not tell."""
    mapped: float
    """Mapped files: weights and libraries, which the system takes back when it needs room."""
    output: str


def run(*arguments: str) -> Ended:
    """One Python process, to its end."""
    reader, writer = os.pipe()
    began = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
    )
    os.close(writer)
    peaks = {"RssAnon": 0.0, "RssFile": 0.0}
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(process, peaks, ended))
    watch.start()
    with os.fdopen(reader) as output:
        text = output.read()
    ended.set()
    watch.join()
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"python {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    resident = usage.ru_maxrss * kilobyte / 1e6
    wall, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    return Ended(wall, cpu, resident, peaks["RssAnon"], peaks["RssFile"], text)


def _watch(process: int, peaks: dict[str, float], ended: threading.Event) -> None:
    status = Path(f"/proc/{process}/status")
    while not ended.wait(LOOK) and status.exists():
        for name, kilobytes in re.findall(r"(RssAnon|RssFile):\s+(\d+) kB", status.read_text()):
            peaks[name] = max(peaks[name], int(kilobytes) * 1024 / 1e6)


def row(name: str, values: Sequence[float], form: str) -> str:
    """One line of the table.

    Parameters
    ----------
    name
        What was measured.
    values
        A number for each run.
    form
        How a number is formatted, such as `.2f`.
    """
    numbers = (min(values), statistics.median(values), max(values))
    low, middle, high = (format(value, form) for value in numbers)
    return f"| {name} | {middle} | {low} – {high} |"


def counted(runs: int, once: Callable[[], Ended]) -> list[Ended]:
    """Runs after one that is not counted.

    Parameters
    ----------
    runs
        How many runs count.
    once
        Makes one run.
    """
    once()
    return [once() for _ in range(runs)]


def told(ended: Sequence[Ended], field: str, scale: float = 1.0) -> list[float]:
    """One field of the object that `--json` printed.

    Parameters
    ----------
    ended
        The runs.
    field
        The name of the field.
    scale
        What its values are multiplied by.
    """
    return [json.loads(each.output)[field] * scale for each in ended]


def builtin(runs: int, speaker: bool) -> None:
    speak = (*TTS, "speak", "--engine", "builtin", "--json")
    hello, aloud = (*speak, "Hello.", *NOWHERE), (*speak, "Hello.")
    _helps(runs)
    short = counted(runs, lambda: run(*hello))
    print(row('cold start of `tts speak "Hello."`, seconds', told(short, "cold_start_ms", 1e-3), ".3f"))
    if speaker:
        loud = told(counted(runs, lambda: run(*aloud)), "cold_start_ms", 1e-3)
        print(row("the same through a loudspeaker, seconds", loud, ".3f"))
    print(row('TTFA of `tts speak "Hello."`, milliseconds', told(short, "ttfa_ms"), ".1f"))
    long = counted(runs, lambda: run(*speak, TEXT, *NOWHERE))
    print(row("RTF, 13 s of speech", told(long, "rtf"), ".4f"))
    print(row("peak memory, 13 s of speech, MB", [each.resident for each in long], ".0f"))


def _helps(runs: int) -> None:
    """The help, and its two libraries alone; one after the other, so that a busy moment meets all."""
    commands = {
        "`import typer, rich`": ("-c", "import typer, rich"),
        "`tts --help`": (*TTS, "--help"),
        "`tts speak --help`": (*TTS, "speak", "--help"),
    }
    turns = [{name: run(*command).cpu for name, command in commands.items()} for _ in range(runs + 1)][1:]
    for name in commands:
        print(row(f"{name}, CPU seconds", [turn[name] for turn in turns], ".3f"))


def chatterbox(runs: int, folder: Path, options: Sequence[str], strategy: str, tokens: int) -> None:
    with tempfile.TemporaryDirectory() as voices:
        shutil.copy(folder / "conds.pt", Path(voices, "cached.pt"))
        speak = (*TTS, "speak", "Hello there.", "--engine", "chatterbox", "--model-dir", str(folder), "--json")
        said = (*speak, "--voice", "cached", "--voices-dir", voices, *NOWHERE, *options)
        done = counted(runs, lambda: run(*said))
    print(row("process start to first audio, cached voice, seconds", told(done, "cold_start_ms", 1e-3), ".2f"))
    print(row("of it, from the text on (TTFA), seconds", told(done, "ttfa_ms", 1e-3), ".2f"))
    print(row("RTF, first utterance of a process", told(done, "rtf"), ".2f"))
    print(row("peak memory, MB", [each.resident for each in done], ".0f"))
    print(row("of it anonymous, MB", [each.anonymous for each in done], ".0f"))
    print(row("of it mapped files, MB", [each.mapped for each in done], ".0f"))
    precision = options[options.index("--precision") + 1] if "--precision" in options else "auto"
    how = ("--strategy", strategy, "--precision", precision, "--tokens", str(tokens))
    costs = json.loads(run("scripts/long_utterance.py", str(folder), *how).output)
    name = f"{tokens / 25:.0f} s by `{strategy}`, chunks of 10"
    for kind in ("wall", "cpu"):
        chunks = costs[kind]
        print(row(f"{name}: {kind} seconds of a chunk", chunks, ".3f"))
        print(f"| {name}: last over second chunk, {kind} | {chunks[-1] / chunks[1]:.2f} | |")
        late, early = statistics.median(chunks[-5:]), statistics.median(chunks[1:6])
        print(f"| {name}: last five over second to sixth, {kind} | {late / early:.2f} | |")
    memory = costs["anonymous"]
    print(f"| {name}: memory from the second chunk to the last, MB | {memory[-1] - memory[1]:+.1f} | |")


def nano(runs: int, folder: Path, options: Sequence[str]) -> None:
    bench = (*TTS, "bench", "--model", "nano", "--model-dir", str(folder), "--json", "--tokens", "75")
    ended = run(*bench, "--runs", str(runs), *options)
    (measured,) = json.loads(ended.output)["rows"]
    rtf, ttfa = measured["rtf"], measured["ttfa_ms"]
    print(f"| Nano, 75 tokens, warm process: RTF | {rtf['median']:.2f} | {rtf['min']:.2f} – {rtf['max']:.2f} |")
    median, low, high = (ttfa[name] / 1000 for name in ("median", "min", "max"))
    print(f"| Nano, 75 tokens, warm process: first audio, seconds | {median:.2f} | {low:.2f} – {high:.2f} |")


def machine(*packages: str) -> str:
    """The machine, in words."""
    kind = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        kind = (re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) or [kind])[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    software = ", ".join(f"{package} {version(package)}" for package in packages)
    where = f"{kind}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"
    return f"Machine: {where}, Python {platform.python_version()}, {software}, load {os.getloadavg()[0]:.1f}."


def main() -> None:
    """Print machine and table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="More options are those of `tts speak` and `tts bench`."
    )
    parser.add_argument("--runs", type=int)
    parser.add_argument("--speaker", action="store_true", help="measure through the loudspeaker as well")
    parser.add_argument("--model-dir", type=Path, help="Chatterbox Turbo's weights, with a voice: conds.pt")
    parser.add_argument("--nano-dir", type=Path, help="Chatterbox Nano's")
    parser.add_argument("--strategy", default="cached", help="of the long utterance")
    parser.add_argument("--long", type=int, default=3000, help="tokens of the long utterance (40 ms each)")
    args, options = parser.parse_known_args()
    folder, small = (each and each.resolve() for each in (args.model_dir, args.nano_dir))
    os.chdir(Path(__file__).resolve().parent.parent)
    print(machine("torch", "numpy") if folder or small else machine("onnxruntime", "numpy"))
    print("\n| measure | median | spread |\n|---|---|---|")
    if folder:
        chatterbox(args.runs or 5, folder, options, args.strategy, args.long)
    if small:
        nano(args.runs or 5, small, options)
    if not (folder or small):
        builtin(args.runs or 9, args.speaker)


if __name__ == "__main__":
    main()
