"""Decode one long utterance in chunks, and print the time of each chunk and the memory of the process after it.

    python scripts/long_utterance.py FOLDER [--strategy cached] [--tokens 3000] [--chunk 10]

The tokens are random, because the time of a chunk does not depend on them. Standard output is one JSON object: `wall`
and `cpu` are the seconds of each chunk, and `anonymous` is the memory after it, in megabytes, without mapped files.
Linux only.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from pathlib import Path


def anonymous() -> float:
    """Megabytes."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strategy", default="cached")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--chunk", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3, help="chunks of another utterance before")
    args = parser.parse_args()

    import torch

    from tts_cli.cores import cores
    from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
    from tts_cli.engines.chatterbox.schedule.threads import Threads
    from tts_cli.engines.chatterbox.voice.conditionals import Conditionals
    from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY

    torch.set_num_threads(Threads.share(cores()).s3gen)
    decoder = S3GenDecoder.load(args.folder, precision=args.precision)
    voice = Conditionals.load(args.folder / "conds.pt")
    draw = random.Random(0)

    def chunk() -> list[int]:
        return [draw.randrange(SPEECH_VOCABULARY) for _ in range(args.chunk)]

    before = decoder.stream(voice.gen, args.strategy)
    for _ in range(args.warmup):
        before.push(chunk())
    del before
    stream = decoder.stream(voice.gen, args.strategy)
    wall, cpu, memory = [], [], []
    for _ in range(args.tokens // args.chunk):
        began = time.perf_counter(), time.process_time()
        stream.push(chunk())
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
        memory.append(anonymous())
    print(json.dumps({"wall": wall, "cpu": cpu, "anonymous": memory}))


if __name__ == "__main__":
    main()
