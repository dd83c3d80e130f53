"""Ask a server that runs for speech, many times at once, and print how much sound it gave, as rows of a table.

python scripts/throughput.py http://127.0.0.1:8000 --listeners 1 4 16 --seconds 20

Each listener asks for one text after the other, and reads as fast as it can.

- sound a second: seconds of sound that all listeners together got in a second.
- TTFA: from the request to the first byte, the middle one and the 95th of 100.

`TTS_SERVER_KEY` is sent as a bearer token. The exit code is 1 if a request failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

import httpx

TEXT: Final = "The harbour was quiet when the first boats came in, and nobody hurried."
RATE: Final = 24_000
TIMES: Final = httpx.Timeout(120)
HEAD: Final = "| listeners | texts | sound a second | TTFA | 95 % |\n|---|---|---|---|---|"


@dataclass
class Heard:
    """What all listeners got."""

    bytes: int = 0
    firsts: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


async def listen(client: httpx.AsyncClient, url: str, until: float, heard: Heard) -> None:
    body = {"model": "tts", "input": TEXT, "response_format": "pcm"}
    while time.monotonic() < until:
        began, first = time.monotonic(), True
        try:
            async with client.stream("POST", f"{url}/v1/audio/speech", json=body) as response:
                response.raise_for_status()
                async for piece in response.aiter_raw():
                    if first:
                        heard.firsts.append(time.monotonic() - began)
                    first = False
                    heard.bytes += len(piece)
        except httpx.HTTPError as error:
            heard.failed.append(f"{type(error).__name__}: {error}")


async def row(url: str, listeners: int, seconds: float) -> tuple[str, list[str]]:
    """A row of the table, and what went wrong."""
    key = os.environ.get("TTS_SERVER_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Limits(max_connections=None)
    heard = Heard()
    async with httpx.AsyncClient(headers=headers, timeout=TIMES, limits=limits) as client:
        began = time.monotonic()
        await asyncio.gather(*(listen(client, url, began + seconds, heard) for _ in range(listeners)))
        took = time.monotonic() - began
    firsts = quantiles(heard.firsts, n=100, method="inclusive") if len(heard.firsts) > 1 else [0.0] * 99
    sound = heard.bytes / 2 / RATE
    told = f"| {listeners} | {len(heard.firsts)} | {sound / took:.0f} s | {firsts[49]:.2f} s | {firsts[94]:.2f} s |"
    return told, heard.failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--listeners", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    failed: list[str] = []
    print(HEAD, flush=True)
    for listeners in given.listeners:
        told, wrong = asyncio.run(row(given.url, listeners, given.seconds))
        failed += wrong
        print(told, flush=True)
    for each in failed[:5]:
        print(each, file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
