"""The table of `scripts/load.py`: bursts of listeners, and what they heard."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import httpx

from loading.blame import Watch
from loading.listener import Heard, Manner, gaps, listen
from loading.served import Served, key

HEAD: Final = (
    "| listeners | heard | 429 | 503 | gave up, failed | TTFA p50 / p95 / p99, s | RTF p50 / p99 | gaps: server's, "
    "machine's, script's | longest, s | sound a second | peak memory, MB | cores |\n" + "|---" * 12 + "|"
)


@dataclass(frozen=True)
class Used:
    """What a server has used of the machine."""

    memory_peak: float
    """MB."""
    cores: float
    """Processor time of the server over time."""
    cores_of_others: float
    """The same of all but server and script."""

    def __str__(self) -> str:
        return f"{self.memory_peak:.0f} | {self.cores:.2f}"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    listeners: int
    asked: int
    heard: int
    status_429: int
    status_503: int
    gave_up: int
    failed: int
    ttfa: tuple[float, float, float] | None
    """p50, p95 and p99, in seconds."""
    rtf: tuple[float, float] | None
    """p50 and p99."""
    gaps: dict[str, int]
    """How many were whose."""
    gap_seconds: float
    longest_gap: float
    sound_rate: float
    """Seconds of sound that listeners got in a second, all together."""
    used: Used | None
    """None of a server that runs elsewhere."""

    def __str__(self) -> str:
        ttfa = " / ".join(f"{each:.2f}" for each in self.ttfa or ()) or "–"
        rtf = " / ".join(f"{each:.2f}" for each in self.rtf or ()) or "–"
        whose = ", ".join(str(self.gaps.get(name, 0)) for name in ("server", "machine", "script"))
        return (
            f"| {self.listeners} | {self.heard} of {self.asked} | {self.status_429} | {self.status_503} | "
            f"{self.gave_up + self.failed} | {ttfa} | {rtf} | {whose} | {self.longest_gap:.2f} | "
            f"{self.sound_rate:.2f} | {self.used or '– | –'} |"
        )

    def fields(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that is not exceeded by this share of all.

    Examples
    --------
    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def measure(server: Served, listeners: int, least: int, text: str, patience: float) -> Row:
    """Let so many listeners ask at the same time, again and again until `least` texts were asked for.

    Parameters
    ----------
    server
        The server.
    listeners
        How many ask at once.
    least
        How many texts are asked for at least, in all.
    text
        What each asks for.
    patience
        Seconds that a listener waits for sound.
    """
    heard: list[Heard] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with (
        httpx.AsyncClient(trust_env=False, limits=limits, headers=key()) as client,
        Watch(server) as watch,
    ):
        await listen(client, server.url, text, Manner(patience))  # loads the voice, and is not counted
        if server.pid is not None:
            server.forget_peak()
        began, cpu, others = time.monotonic(), server.cpu(), watch.others
        for _ in range(max(1, math.ceil(least / listeners))):
            asking = [listen(client, server.url, text, Manner(patience)) for _ in range(listeners)]
            heard += await asyncio.gather(*asking)
        passed = time.monotonic() - began
        used = None
        if server.pid is not None:
            used = Used(server.memory("VmHWM"), (server.cpu() - cpu) / passed, (watch.others - others) / passed)
        return _row(listeners, heard, watch, passed, used)


def _row(listeners: int, heard: Sequence[Heard], watch: Watch, passed: float, used: Used | None) -> Row:
    outcomes = Counter(each.outcome for each in heard)
    done = [each for each in heard if each.outcome == "heard"]
    firsts = [each.ttfa for each in done if each.ttfa is not None]
    rtfs = [each.rtf for each in done if each.rtf is not None]
    found = [gap for each in heard for gap in gaps(each.arrivals)]
    lengths = [gap.seconds for gap in found]
    return Row(
        listeners,
        len(heard),
        len(done),
        outcomes["429"],
        outcomes["503"],
        outcomes["gave up"],
        sum(count for name, count in outcomes.items() if name not in ("heard", "429", "503", "gave up")),
        (percentile(firsts, 0.5), percentile(firsts, 0.95), percentile(firsts, 0.99)) if firsts else None,
        (statistics.median(rtfs), percentile(rtfs, 0.99)) if rtfs else None,
        dict(Counter(watch.culprit(gap) for gap in found)),
        sum(lengths),
        max(lengths, default=0.0),
        sum(each.sound for each in heard) / passed,
        used,
    )
