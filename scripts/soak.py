"""Let one `tts speak` play sentences from a pipe until the time is over, and print a table of its resources.

    python scripts/soak.py --minutes 10 --seed 1 [--engine builtin|chatterbox] [--json]

The sentences arrive at an uneven pace: whole passages at once, word by word or character by character. Some pauses are
shorter than the speech, so that text piles up; others are longer than any idle time. The speaker is a null sink of
a PulseAudio server of its own. Chatterbox speaks with tiny random weights, which are made first. Once a second the
script reads memory, threads and open files of the process from /proc. Linux only, with PulseAudio.

The exit code is 1 if the process failed, left out sound or opened the device again, or if its memory, threads or open
files grew. Starved frames are counted only, because other processes on the machine can cause them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzzing.report import growth
from fuzzing.surroundings import make_checkpoint, surroundings

WORDS: Final = """
a the of and to in it is was he for on are as with his they at be this have from or one had by word but not what harbour
quiet first boats came gulls circled above market children counted crates old man mended nets every morning Dr. 17 3.5
"""
LIMITS: Final = {"memory": 64.0, "threads": 1.0, "files": 1.0}
"""How much more of each the last quarter of a run may have than the second: megabytes and counts."""
SETTLING: Final = 20
"""Seconds in which all openings of the device count as one: PortAudio tries a device some times before it plays."""
REST: Final = 900
"""Seconds after the last sentence in which everything has to be spoken: text and sound that wait are bounded."""


@dataclass
class Looks:
    """The memory, threads and open files of the process, once a second."""

    memory: list[float] = field(default_factory=list)
    """Megabytes."""
    threads: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)

    def look(self, process: int) -> None:
        """Look once; a process that has just ended is not counted."""
        folder = Path("/proc", str(process))
        with contextlib.suppress(OSError, IndexError):
            pages = int((folder / "statm").read_text().split()[1])
            threads, files = len([*(folder / "task").iterdir()]), len([*(folder / "fd").iterdir()])
            self.memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            self.threads.append(threads)
            self.files.append(files)

    def growths(self) -> dict[str, float]:
        """The growth of each: its last quarter compared with its second."""
        return {name: growth(getattr(self, name)) for name in LIMITS}


class Writer:
    """Writes sentences at an uneven pace, in a thread, as a context manager.

    Parameters
    ----------
    pipe
        Where to write; it is closed at the end.
    rng
        What everything random is drawn from.
    pace
        The pace of the speech: seconds a character.
    until
        When to end, as `time.time` gives it.
    """

    def __init__(self, pipe: Any, rng: Random, pace: float, until: float) -> None:
        self.sentences = 0
        self.pauses = 0
        """Pauses that were longer than any idle time."""
        self.stop = threading.Event()
        self._pipe, self._rng, self._pace, self._until = pipe, rng, pace, until
        self._thread = threading.Thread(target=self._run, name="writer")

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.stop.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(BrokenPipeError), self._pipe:
            while time.time() < self._until and not self.stop.is_set():
                began, passage = time.time(), self._passage()
                for piece in self._pieces(passage):
                    self._pipe.write(piece.encode())
                    self._pipe.flush()
                spoken = self._pace * len(passage)
                pause = self._rng.uniform(0, 2.4) * spoken
                if self._rng.random() < 0.05:
                    self.pauses += 1
                    pause = spoken + self._rng.uniform(6, 12)
                self.stop.wait(max(0.0, min(began + pause, self._until) - time.time()))

    def _passage(self) -> str:
        """One to six sentences; a few begin a paragraph."""
        sentences = [self._sentence() for _ in range(self._rng.choice((1, 1, 2, 3, 6)))]
        self.sentences += len(sentences)
        return " ".join(sentences) + self._rng.choice((" ", " ", "\n", "\n\n"))

    def _sentence(self) -> str:
        words = self._rng.choices(WORDS.split(), k=self._rng.choice((1, 3, 6, 10, 20)))
        return " ".join(words).capitalize() + self._rng.choice(".!?…")

    def _pieces(self, passage: str) -> Iterator[str]:
        """All at once, or with a wait after each word or character."""
        how = self._rng.choice(("passage", "words", "words", "characters" if len(passage) < 80 else "words"))
        if how == "passage":
            yield passage
            return
        parts = [f"{word} " for word in passage.split(" ")] if how == "words" else [*passage]
        for part in parts:
            yield part
            self.stop.wait(self._rng.uniform(0, 1.5) * self._pace * len(part))


@dataclass(frozen=True)
class Loudspeaker:
    """A PulseAudio server with a null sink."""

    environment: dict[str, str]
    log: Path

    def opened(self) -> int:
        """How often the sink has been opened so far."""
        return self.log.read_text(errors="replace").count("Created input ")


@contextmanager
def loudspeaker(folder: Path) -> Iterator[Loudspeaker]:
    """A speaker while the block runs. Its server stores files in the empty folder `folder`."""
    folder.mkdir(mode=0o700)
    log = folder / "log"
    environment = {name: value for name, value in os.environ.items() if name != "PULSE_SERVER"}
    environment |= {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    command = ["pulseaudio", "-n", "--exit-idle-time=-1", "--load=module-native-protocol-unix"]
    # A null sink that rewinds asks for up to 2 s of sound at once, and then for nothing for so long.
    command += ["--load=module-null-sink sink_name=speaker rate=24000 norewinds=1"]
    command += ["--log-level=info", f"--log-target=file:{log}"]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **streams) as server:
        try:
            while not (folder / "pulse" / "native").exists():
                if server.poll() is not None:
                    sys.exit(f"pulseaudio ended with {server.returncode}")
                time.sleep(0.05)
            yield Loudspeaker(environment, log)
        finally:
            server.terminate()


def pace(speak: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds of sound for a character, as the engine speaks one passage; what it keeps in files is then there.

    Parameters
    ----------
    speak
        The command that speaks.
    environment
        Its environment variables.
    """
    text = "The harbour was quiet when the first boats came in. Gulls circled above the market. Nobody hurried."
    done = subprocess.run([*speak, "-o", os.devnull, text], env=environment, capture_output=True, check=True)
    return float(json.loads(done.stdout)["audio_ms"]) / 1000 / len(text)


def soak(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything that was counted, and the faults."""
    environment = surroundings(folder)
    if options.engine == "chatterbox":
        environment["TTS_MODEL_DIR"] = str(make_checkpoint(folder / "checkpoint"))
    speak = [sys.executable, "-m", "tts_cli", "speak", "--engine", options.engine, "--json"]
    seconds = pace(speak, environment)
    looks, settled = Looks(), 0
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with loudspeaker(folder / "speaker") as speaker:
        environment |= {name: speaker.environment[name] for name in ("XDG_RUNTIME_DIR", "HOME")}
        environment.pop("PULSE_SERVER")
        before, began = os.times(), time.time()
        until = began + 60 * options.minutes
        process: Any = subprocess.Popen(speak, env=environment, **streams)
        with process, Writer(process.stdin, Random(options.seed), seconds, until) as writer:
            while process.poll() is None:
                looks.look(process.pid)
                if time.time() < began + SETTLING:
                    settled = speaker.opened()
                if time.time() > until + REST:
                    process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)
            out, err = process.stdout.read(), process.stderr.read().decode(errors="replace")
        again, after = speaker.opened() - settled, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    told = json.loads(out) if process.returncode == 0 else {}
    counts = {
        "engine": options.engine,
        "minutes": options.minutes,
        "seed": options.seed,
        "sentences": writer.sentences,
        "long_pauses": writer.pauses,
        "exit_code": process.returncode,
        **{name: told.get(name) for name in ("audio_ms", "delivered_ms", "starved_frames", "device_underflows")},
        "device_opened": min(settled, 1) + again,
        **{f"{name}_median": round(sorted(values)[len(values) // 2]) for name, values in vars(looks).items()},
        **{f"{name}_growth": round(grown, 1) for name, grown in looks.growths().items()},
        "processor_seconds": round(processor),
    }
    return counts | {"faults": faults(counts, err)}


def faults(counts: dict[str, Any], err: str) -> list[str]:
    """The faults, in words.

    Parameters
    ----------
    counts
        What `soak` counted.
    err
        What the process wrote to standard error.
    """
    if counts["exit_code"]:
        return [f"the process ended with {counts['exit_code']}: {err.strip()[-500:]}"]
    found = [] if counts["delivered_ms"] else ["nothing was played"]
    if abs(counts["audio_ms"] - counts["delivered_ms"]) > 1:
        found.append(f"{counts['delivered_ms']} ms were played of {counts['audio_ms']} ms")
    # After an underflow ALSA's plugin for PulseAudio begins its stream anew, which nobody here has asked for.
    if not 1 <= counts["device_opened"] <= 1 + (counts["device_underflows"] or 0):
        found.append(f"the device was opened {counts['device_opened']} times")
    for name, limit in LIMITS.items():
        if counts[f"{name}_growth"] > limit:
            found.append(f"{name} grew by {counts[f'{name}_growth']}, more than {limit:g}")
    return found


def table(counts: dict[str, Any]) -> str:
    """The counts, in Markdown."""
    rows = [
        (f"{counts['engine']}, seed {counts['seed']}: minutes of writing", f"{counts['minutes']:g}"),
        ("sentences", counts["sentences"]),
        ("pauses of more than 6 s", counts["long_pauses"]),
        ("minutes of sound played", f"{(counts['delivered_ms'] or 0) / 60_000:.1f}"),
        ("starved frames", counts["starved_frames"]),
        ("underflows of the device", counts["device_underflows"]),
        ("times the device was opened", counts["device_opened"]),
        *(
            (f"{label}: median, growth", f"{counts[f'{name}_median']}, {counts[f'{name}_growth']:+.1f}")
            for name, label in (("memory", "memory, MB"), ("threads", "threads"), ("files", "open files"))
        ),
        ("processor, seconds", counts["processor_seconds"]),
    ]
    return "\n".join(("| measure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("builtin", "chatterbox"), default="builtin")
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tts-soak-") as name:
        counts = soak(options, Path(name))
    print(json.dumps(counts) if options.json else table(counts))
    for fault in counts["faults"]:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if counts["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
