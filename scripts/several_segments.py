"""Measure what drawing the tokens of several segments at once gives, and print the rows of a Markdown table.

    python scripts/several_segments.py FOLDER [--precision auto] [--tokens 75] [--runs 3]

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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

STEPS = 30
TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years. Nobody hurried, "
    "and the ferry was late again, as it had been all week."
)
SEGMENTS = 4


def steps(folder: Path, precision: str) -> None:
    """The time of a token in one thread: of a single utterance, and of several at once."""
    import torch

    from tts_cli.engines.chatterbox.t3.batch import Batch
    from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
    from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, sample_of

    torch.set_num_threads(1)
    t3, voice = T3.load(folder, "cpu", precision, sample_of(folder)), Conditionals.load(folder / "conds.pt")
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    request = TokenRequest(prefix, list(range(1000, 1060)), exactly=1000)

    def together(count: int) -> Callable[[], object]:
        batch = Batch(t3, prefix)
        rows = [batch.row(request) for _ in range(count)]
        while any(row.reading for row in rows):
            batch.step(rows)
        return lambda: batch.step(rows)

    alone = t3.tokens(request)
    ways: dict[int, Callable[[], object]] = {0: lambda: next(alone)} | {count: together(count) for count in (1, 4, 8)}
    for way in ways.values():  # reads the text
        way()
        way()
    spent: dict[int, list[float]] = {count: [] for count in ways}
    for _ in range(STEPS):
        for count, way in ways.items():
            began = time.perf_counter()
            way()
            spent[count].append((time.perf_counter() - began) / max(count, 1))
    medians = {count: statistics.median(each) for count, each in spent.items()}
    for count in (1, 4, 8):
        print(f"| T3, cost of a token, {count} rows over one alone | {medians[count] / medians[0]:.2f} |")
    print(f"| T3, a token alone, milliseconds | {1000 * medians[0]:.1f} |", flush=True)


def text(folder: Path, precision: str, tokens: int, runs: int) -> None:
    """The RTF of a text of several segments, drawn one at a time and together."""
    from tts_cli.engines.chatterbox.engine import ChatterboxEngine
    from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
    from tts_cli.segment import Segment

    class Given:
        wanted = 0

        def __init__(self) -> None:
            self._segments = deque(Segment.of(TEXT, number) for number in range(SEGMENTS))

        def take(self, wait: bool = True) -> Segment | None:  # noqa: ARG002 - all are there
            return self._segments.popleft() if self._segments else None

        def failed(self, segment: Segment, error: Exception) -> None:  # noqa: ARG002 - ends the measurement
            raise error

    with tempfile.TemporaryDirectory() as voices:
        settings = ChatterboxSettings(
            model_dir=folder, voices_dir=Path(voices), device="cpu", precision=precision, watermark=False
        )
        engine = ChatterboxEngine(settings)

        def run(number: int) -> tuple[float, ...]:
            options = ChatterboxOptions(chunk=10, tokens=tokens, parallel_segments=number)
            began, busy, first, sound = time.perf_counter(), time.process_time(), 0.0, 0.0
            for chunk in engine.stream(Given(), "default", options):
                first = first or time.perf_counter() - began
                sound += chunk.seconds
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
    print(f"| CPU seconds, {SEGMENTS} at once over 1 | {busy[SEGMENTS] / busy[1]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tokens", type=int, default=75, help="of each segment")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    steps(args.folder, args.precision)
    text(args.folder, args.precision, args.tokens, args.runs)


if __name__ == "__main__":
    main()
