"""The soak of `scripts/load.py`: some listeners for a long time, who listen, leave or read slowly."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from loading.blame import Watch
from loading.listener import Heard, Manner, gaps, take
from loading.served import Served, key

SENTENCES: Final = (
    "The harbour was quiet when the first boats came in.",
    "Gulls circled above the fish market, and two children counted the crates.",
    "On the quay an old man mended his nets; he had done so every morning for forty years.",
    "Nobody hurried, and the ferry was late again, as it had been all week.",
    "It rains.",
)
AHEAD: Final = 2.0
"""Seconds of sound that a player takes ahead."""
SMALL: Final = (
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384),
    (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
"""Small packets and a small buffer, as over Ethernet. Within a machine, the system would hold more than a minute of
sound for each listener, and no reader would keep the server waiting."""
PLAYER: Final[dict[str, Any]] = {"max_queue": 1, "close_timeout": 1, "ping_interval": None}
"""It reads as it plays, and the answer to a ping would come after all sound that was sent before."""
LEAVERS: Final = 0.2
SLOW: Final = 0.2
LOOK: Final = 5.0
"""Seconds between two looks at the server's memory."""
SETTLED: Final = 0.2
"""The part of the time after which memory counts: caches are full then."""


@dataclass
class Soak:
    """What was counted."""

    outcomes: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    """How many were whose; those of slow readers are their own and do not count."""
    gap_seconds: float = 0.0
    longest_gap: float = 0.0
    sound: float = 0.0
    taken: list[float] = field(default_factory=list)
    """How many places of the server were taken, at each look."""
    memory: list[float] = field(default_factory=list)
    """MB, at each look."""

    def add(self, manner: Manner, heard: Heard, watch: Watch) -> None:
        """Count a text."""
        self.outcomes["slow" if manner.pace < 1 and heard.outcome == "heard" else heard.outcome] += 1
        self.sound += heard.sound
        for gap in gaps(heard.arrivals) if manner.pace >= 1 else []:
            self.gaps[watch.culprit(gap)] += 1
            self.gap_seconds += gap.seconds
            self.longest_gap = max(self.longest_gap, gap.seconds)

    @property
    def growth(self) -> float:
        """By how many MB the memory at the end is above that after the settling: medians of a tenth of the looks."""
        part = max(1, len(self.memory) // 10)
        start = round(SETTLED * len(self.memory))
        return _middle(self.memory[-part:]) - _middle(self.memory[start : start + part])


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


async def soak(
    server: Served, minutes: float, listeners: int, sentences: int, seed: int, patience: float
) -> dict[str, Any]:
    """Let so many listeners speak one text after the other until the time is over.

    Parameters
    ----------
    server
        The server.
    minutes
        For how long.
    listeners
        How many there are at each moment.
    sentences
        The most sentences of a text.
    seed
        Of what is random.
    patience
        Seconds that a listener waits for sound.
    """
    counted, random = Soak(), Random(seed)
    began, cpu = time.monotonic(), server.cpu()
    until = began + 60 * minutes
    async with httpx.AsyncClient(trust_env=False, headers=key()) as client, Watch(server) as watch:

        async def stay(own: Random) -> None:
            while time.monotonic() < until:
                manner = _manner(own, patience)
                heard = await _listen(server.url, _text(own, sentences), manner)
                counted.add(manner, heard, watch)

        async def look() -> None:
            while True:
                counted.memory.append(server.memory())
                counted.taken.append((await _numbers(client, server.url))["tts_listeners"])
                await asyncio.sleep(LOOK)

        looking = asyncio.create_task(look())
        staying = [asyncio.create_task(stay(Random(random.random()))) for _ in range(listeners)]
        done, late = await asyncio.wait(staying, timeout=until - time.monotonic())
        for task in (looking, *late):  # those who listen at the end leave, and do not count
            task.cancel()
        await asyncio.gather(looking, *late, return_exceptions=True)
        for task in done:
            task.result()
        passed = time.monotonic() - began
        numbers = await _numbers(client, server.url)
        return {
            "minutes": round(passed / 60, 1),
            "listeners": listeners,
            "places_taken": round(sum(counted.taken) / max(1, len(counted.taken)), 2),
            "texts": dict(counted.outcomes),
            "sound_minutes": round(counted.sound / 60, 1),
            "gaps": dict(counted.gaps),
            "gap_seconds": round(counted.gap_seconds, 2),
            "longest_gap": round(counted.longest_gap, 2),
            "server_utterances": numbers["tts_rtf_count"],
            "server_utterances_slower_than_sound": numbers["tts_rtf_count"] - numbers["tts_rtf_bucket_1.0"],
            "server_rtf_mean": round(numbers["tts_rtf_sum"] / max(1, numbers["tts_rtf_count"]), 3),
            "memory_start": round(counted.memory[0]),
            "memory_settled": round(counted.memory[round(SETTLED * (len(counted.memory) - 1))]),
            "memory_end": round(counted.memory[-1]),
            "memory_growth": round(counted.growth, 1),
            "cores": round((server.cpu() - cpu) / passed, 3),
            "cores_of_others": round(watch.others / passed, 2),
        }


async def _listen(url: str, text: str, manner: Manner) -> Heard:
    """Ask for a text over a WebSocket, and take its sound."""
    heard = Heard(time.monotonic())
    client: ClientConnection | None = None
    place = urlsplit(url)
    assert place.hostname is not None
    with socket.socket() as opened:
        for option in SMALL:
            opened.setsockopt(*option)
        opened.connect((place.hostname, place.port))  # to this machine: it takes no time
        opened.setblocking(False)
        try:
            url = f"ws://{place.netloc}/ws/tts"
            async with connect(url, sock=opened, additional_headers=key(), **PLAYER) as client:
                await client.send(json.dumps({"text": text}))
                await take(_pieces(client, heard, manner.patience), heard, manner)
        except (asyncio.TimeoutError, TimeoutError):
            heard.outcome = "gave up"
        except ConnectionClosed as error:
            heard.outcome = f"closed: {error.rcvd.code if error.rcvd else 'no reason'}"
        finally:
            if client is not None:
                client.transport.abort()  # it would outlive its socket where the farewell was cancelled
    return heard


async def _pieces(client: ClientConnection, heard: Heard, patience: float) -> AsyncIterator[bytes]:
    while isinstance(message := await asyncio.wait_for(client.recv(), patience), bytes):
        yield message
    if json.loads(message)["type"] != "done":
        heard.outcome = "failed"


def _manner(random: Random, patience: float) -> Manner:
    kind = random.random()
    if kind < LEAVERS:
        return Manner(patience, AHEAD, leaves=random.uniform(0.1, 10))
    if kind < LEAVERS + SLOW:
        return Manner(patience, AHEAD, pace=random.uniform(0.4, 0.9))
    return Manner(patience, AHEAD)


def _text(random: Random, most: int) -> str:
    return " ".join(random.choices(SENTENCES, k=random.randint(1, most)))


async def _numbers(client: httpx.AsyncClient, url: str) -> dict[str, float]:
    """What `/metrics` tells, by name; a bucket has its bound after its name."""
    text = (await client.get(f"{url}/metrics", timeout=60)).text
    found = {}
    for name, bound, value in re.findall(r'^(\w+)(?:\{le="([^"]+)"\})? (\S+)$', text, re.MULTILINE):
        found[f"{name}_{bound}" if bound else name] = float(value)
    return found
