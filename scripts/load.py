"""Load a server with many listeners at once, and print what they heard, as a table.

    python scripts/load.py                                                       the built-in voice
    python scripts/load.py --engine chatterbox --model-dir FOLDER [--tokens 75]  Chatterbox, each text equally long
    python scripts/load.py --engine plain --model-dir FOLDER [--tokens 75]       a plain server around upstream's code
    python scripts/load.py --url http://127.0.0.1:8000                           a server or a cluster that runs already
    python scripts/load.py --minutes 30                                          a soak at 80 % of the places

The server is a process of its own, a new one for each row; further options are given to `tts serve`. One that runs
already is sent `TTS_SERVER_KEY` as a bearer token, and its memory and cores are not known. `--listeners` ask at the
same time, each for one text, until `--least` texts were asked for. They take the sound as it comes, and play it in real
time, on paper.

- TTFA: from the request to the first audible sample.
- RTF: from the request to the last sample, waiting for a place included, over the length of the sound.
- gaps: silences of a player that starts with 0.25 s of sound. `loading/blame.py` says whose fault each is.
- sound a second: seconds of sound that all listeners together got in a second.
- peak memory and cores: of the server. Processor time over time.

The soak keeps about 80 % of the server's places taken: listeners play in real time, with 2 s ahead, over small packets
and buffers; some leave and some read slowly. Its exit code is 1 if a gap is the server's, if a text failed, or if the
server's memory grew by more than 20 MB after the first fifth of the time. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loading.rows import HEAD, measure
from loading.served import Served, commands, serving
from loading.soaking import soak

TEXT: Final = "The harbour was quiet when the first boats came in, and nobody hurried."
GROWTH: Final = 20.0
"""Megabytes by which the server may grow in a soak."""


def faults_of(counts: dict[str, Any]) -> list[str]:
    """What a soak must not have."""
    found = []
    if own := counts["gaps"].get("server", 0):
        found.append(f"{own} gaps are the server's")
    if counts["memory_growth"] > GROWTH:
        found.append(f"the server's memory grew by {counts['memory_growth']} MB")
    if wrong := [name for name in counts["texts"] if name not in ("heard", "left", "slow")]:
        found.append(f"texts that were not spoken: {', '.join(wrong)}")
    return found


def rows(given: argparse.Namespace, command: Sequence[str], log: Path) -> int:
    found = []
    if not given.json:
        print(HEAD, flush=True)
    for listeners in given.listeners:
        running = nullcontext(Served(None, given.url)) if given.url else serving(command, given.tokens, log)
        with running as server:
            row = asyncio.run(measure(server, listeners, given.least, TEXT, given.patience))
        found.append(row)
        if not given.json:
            print(row, flush=True)
    if given.json:
        print(json.dumps([row.fields() for row in found]))
    return 0


def soaked(given: argparse.Namespace, command: Sequence[str], log: Path) -> int:
    with serving(command, given.tokens, log) as server:
        counts = asyncio.run(soak(server, given.minutes, given.at_once, given.sentences, given.seed, given.patience))
    if given.json:
        print(json.dumps(counts))
    else:
        print("| measure | value |\n|---|---|")
        for name, value in counts.items():
            told = ", ".join(f"{key}: {each}" for key, each in value.items()) if isinstance(value, dict) else value
            print(f"| {name.replace('_', ' ')} | {told} |")
    faults = faults_of(counts)
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--engine", default="builtin", help="chatterbox, plain, or as of tts serve")
    parser.add_argument("--model-dir", default="", help="Chatterbox Turbo's weights, with a voice: conds.pt")
    parser.add_argument("--tokens", type=int, default=75, help="of each segment of Chatterbox (40 ms each)")
    parser.add_argument(
        "--listeners", type=lambda text: [int(each) for each in text.split(",")], default=[1, 2, 4, 8, 50, 200]
    )
    parser.add_argument("--least", type=int, default=20, help="texts that are asked for in a row of the table")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that a listener waits for sound")
    parser.add_argument("--url", help="a server that runs already; --engine and other options of a server say nothing")
    parser.add_argument("--minutes", type=float, help="soak for so long")
    parser.add_argument(
        "--at-once", type=int, default=8, help="listeners of the soak; eight take 80 %% of eight places"
    )
    parser.add_argument("--sentences", type=int, default=40, help="the most sentences of a text of the soak")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    given, options = parser.parse_known_args(arguments)
    if given.url and (options or given.minutes is not None):
        parser.error(f"--url is for the table alone, without {' '.join(options) or '--minutes'}")
    command = commands(given.engine, given.model_dir, given.tokens, options)
    with tempfile.TemporaryDirectory(prefix="tts-load-") as folder:
        return (rows if given.minutes is None else soaked)(given, command, Path(folder, "log"))


if __name__ == "__main__":
    sys.exit(main())
