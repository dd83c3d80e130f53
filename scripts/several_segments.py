"""Measure what drawing the tokens of several segments and listeners at once gives, as the rows of a Markdown table.

    python scripts/several_segments.py FOLDER [--precision auto] [--chunk auto] [--tokens 75] [--runs 3]

The ways that are compared take turns in one process. FOLDER holds Chatterbox Turbo's weights, with a voice.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tts_cli.engines import Engine
from tts_cli.segment import Segment

STEPS = 30
TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years. Nobody hurried, "
    "and the ferry was late again, as it had been all week."
)
SEGMENTS = 4


def steps(folder: Path, precision: str) -> None:
    """The time of a token in one thread: of one utterance, and of several at once."""
    import torch

    from tts_cli.engines.chatterbox.t3.batch import Batch
    from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
    from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, sample_of

    torch.set_num_threads(1)
    t3, voice = T3.load(folder, "cpu", precision, sample_of(folder)), Conditionals.load(folder / "conds.pt")
    t3.settle()
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    request = TokenRequest(prefix, list(range(1000, 1060)), exactly=1000)

    def together(count: int) -> Callable[[], object]:
        batch = Batch(t3)
        rows = [batch.row(request) for _ in range(count)]
        while any(row.reading for row in rows):
            batch.step(rows)
        return lambda: batch.step(rows)

    ways = {count: together(count) for count in (1, 4, 8)}
    spent: dict[int, list[float]] = {count: [] for count in ways}
    for _ in range(STEPS):
        for count, way in ways.items():
            began = time.perf_counter()
            way()
            spent[count].append((time.perf_counter() - began) / count)
    medians = {count: statistics.median(each) for count, each in spent.items()}
    for count in (4, 8):
        print(f"| T3, cost of a token, {count} rows over one | {medians[count] / medians[1]:.2f} |")
    print(f"| T3, a token of one row, milliseconds | {1000 * medians[1]:.1f} |", flush=True)


class Given:
    """The segments of one text, which are all there."""

    wanted = 0

    def __init__(self, number: int) -> None:
        self._segments = deque(Segment.of(TEXT, each) for each in range(number))

    def take(self, wait: bool = True) -> Segment | None:  # noqa: ARG002 - all are there
        """The next segment."""
        return self._segments.popleft() if self._segments else None

    def failed(self, segment: Segment, error: Exception) -> None:  # noqa: ARG002 - ends the measurement
        """Raise the error."""
        raise error


def text(engine: Engine, chunk: int | None, tokens: int, runs: int) -> None:
    """The RTF of a text of several segments, drawn one at a time and together."""
    from tts_cli.engines.chatterbox.options import ChatterboxOptions

    def run(number: int) -> tuple[float, ...]:
        options = ChatterboxOptions(chunk=chunk, tokens=tokens, parallel_segments=number)
        began, busy, first, sound = time.perf_counter(), time.process_time(), 0.0, 0.0
        for given in engine.stream(Given(SEGMENTS), "default", options):
            first = first or time.perf_counter() - began
            sound += given.seconds
        return (time.perf_counter() - began) / sound, first, (time.process_time() - busy) / sound

    run(SEGMENTS)
    ways: dict[int, list[tuple[float, ...]]] = {1: [], SEGMENTS: []}
    for _ in range(runs):
        for number, measured in ways.items():
            measured.append(run(number))
    rtf, first, busy = (
        {number: statistics.median(each[index] for each in measured) for number, measured in ways.items()}
        for index in (0, 1, 2)
    )
    for number in ways:
        name = f"{SEGMENTS} segments of {tokens} tokens, {number} at once"
        print(f"| {name}: RTF | {rtf[number]:.2f} |")
        print(f"| {name}: first audio, seconds | {first[number]:.2f} |")
        print(f"| {name}: CPU seconds for a second of sound | {busy[number]:.2f} |")
    print(f"| RTF, {SEGMENTS} at once over 1 | {rtf[SEGMENTS] / rtf[1]:.2f} |")
    print(f"| CPU seconds, {SEGMENTS} at once over 1 | {busy[SEGMENTS] / busy[1]:.2f} |", flush=True)


def listeners(engine: Engine, chunk: int | None, tokens: int, runs: int) -> None:
    """Several listeners at once: the sound for a second of computing, and the first audio of one who comes later."""
    from tts_cli.engines.chatterbox.options import ChatterboxOptions

    options = ChatterboxOptions(chunk=chunk, tokens=tokens)
    endless = ChatterboxOptions(chunk=chunk, tokens=1000)

    def listen(_number: int = 0) -> float:
        return sum(given.seconds for given in engine.stream(Given(1), "default", options))

    def rate(number: int) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(number) as pool:
            sound = sum(pool.map(listen, range(number)))
        return sound / (time.perf_counter() - began)

    def first(others: int) -> float:
        """Seconds to the first audio while so many others are being served."""
        left, served = Event(), Barrier(others + 1)

        def other() -> None:
            chunks = engine.stream(Given(1), "default", endless)
            next(chunks)
            served.wait()
            with closing(chunks):
                while not left.is_set():
                    next(chunks)

        with ThreadPoolExecutor(max(others, 1)) as pool:
            running = [pool.submit(other) for _ in range(others)]
            served.wait()
            began = time.perf_counter()
            with closing(engine.stream(Given(1), "default", options)) as chunks:
                next(chunks)
            seconds = time.perf_counter() - began
            left.set()
            for each in running:
                each.result()
        return seconds

    rate(SEGMENTS)
    rates: dict[int, list[float]] = {1: [], SEGMENTS: []}
    firsts: dict[int, list[float]] = {0: [], SEGMENTS - 1: []}
    for _ in range(runs):
        for number, measured in rates.items():
            measured.append(rate(number))
        for number, measured in firsts.items():
            measured.append(first(number))
    ratio = statistics.median(rates[SEGMENTS]) / statistics.median(rates[1])
    print(f"| sound for a second of computing, {SEGMENTS} listeners over 1 | {ratio:.2f} |")
    alone, beside = (statistics.median(each) for each in firsts.values())
    print(f"| first audio alone, seconds | {alone:.2f} |")
    print(f"| first audio beside {SEGMENTS - 1} listeners, seconds | {beside:.2f} |")
    print(f"| first audio beside {SEGMENTS - 1} listeners over alone | {beside / alone:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--chunk", default="auto", help="tokens in a chunk, or auto")
    parser.add_argument("--tokens", type=int, default=75, help="of each segment")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    chunk = None if args.chunk == "auto" else int(args.chunk)
    steps(args.folder, args.precision)
    with tempfile.TemporaryDirectory() as voices:
        from tts_cli.engines.chatterbox.engine import ChatterboxEngine
        from tts_cli.engines.chatterbox.options import ChatterboxSettings

        engine = ChatterboxEngine(
            ChatterboxSettings(
                model_dir=args.folder, voices_dir=Path(voices), device="cpu", precision=args.precision, watermark=False
            )
        )
        text(engine, chunk, args.tokens, args.runs)
        listeners(engine, chunk, args.tokens, args.runs)


if __name__ == "__main__":
    main()
