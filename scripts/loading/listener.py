"""A listener: asks for a text over HTTP, takes the sound, and plays it in real time, on paper.

A player starts when it has `PREBUFFER` seconds of sound. From then on it plays without an end. When the next sound
comes after it has played all it had, that is a gap: it lasts until the sound comes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
import numpy as np

from tts_cli.audio import first_audible

RATE: Final = 24_000
PREBUFFER: Final = 0.25
"""Seconds of sound that a player gathers before it starts."""
BYTES: Final = 2 * RATE
"""Of a second of sound."""


@dataclass
class Heard:
    """What a listener got."""

    asked: float
    """When it asked, as `time.monotonic` gives it. So are all times here."""
    outcome: str = "heard"
    """`heard`, `left`, `gave up`, `failed`, or the status of the answer."""
    first: float | None = None
    """When the first audible sample came."""
    last: float = 0.0
    """When the last sample came."""
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """When something came, and how many seconds of sound it was."""

    @property
    def sound(self) -> float:
        """Seconds of sound."""
        return sum(seconds for _, seconds in self.arrivals)

    @property
    def ttfa(self) -> float | None:
        """Seconds from the request to the first audible sample."""
        return None if self.first is None else self.first - self.asked

    @property
    def rtf(self) -> float | None:
        """Seconds from the request to the last sample over seconds of sound, waiting for a place included."""
        return (self.last - self.asked) / self.sound if self.sound else None


@dataclass(frozen=True)
class Gap:
    """A silence within a text."""

    last: float
    """When the sound before it came."""
    begin: float
    """When the player had played all it had."""
    end: float
    """When sound came again."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.begin


def gaps(arrivals: Sequence[tuple[float, float]], prebuffer: float = PREBUFFER) -> list[Gap]:
    """The gaps of a player that takes sound when it arrives.

    Parameters
    ----------
    arrivals
        When something came, and how many seconds of sound it was.
    prebuffer
        Seconds of sound that are gathered before playing starts.

    Examples
    --------
    >>> [round(gap.seconds, 3) for gap in gaps([(0.0, 0.4), (0.3, 0.4), (1.0, 0.4)])]
    [0.2]
    """
    found: list[Gap] = []
    gathered, end, last = 0.0, 0.0, 0.0
    for when, seconds in arrivals:
        playing = gathered >= prebuffer
        if playing and when > end:
            found.append(Gap(last, end, when))
        gathered += seconds
        if playing:
            end = max(end, when) + seconds
        elif gathered >= prebuffer:
            end = when + gathered
        last = when
    return found


@dataclass(frozen=True)
class Manner:
    """How a listener behaves.

    Parameters
    ----------
    patience
        Seconds that it waits for sound before it gives up.
    ahead
        Seconds of sound that its player takes ahead of what it plays; None to take all as it comes.
    pace
        How fast it plays; below 1 it is a slow reader.
    leaves
        Seconds of sound after which it leaves; None to listen to the end.
    """

    patience: float
    ahead: float | None = None
    pace: float = 1.0
    leaves: float | None = None


async def listen(client: httpx.AsyncClient, url: str, text: str, manner: Manner) -> Heard:
    """Ask for a text, and take its sound."""
    heard = Heard(time.monotonic())
    try:
        body = {"input": text, "response_format": "pcm"}
        async with client.stream("POST", f"{url}/v1/audio/speech", json=body, timeout=manner.patience) as answer:
            if answer.status_code != 200:
                heard.outcome = str(answer.status_code)
                return heard
            await take(answer.aiter_raw(), heard, manner)
    except httpx.TimeoutException:
        heard.outcome = "gave up"
    except httpx.HTTPError as error:
        heard.outcome = f"failed: {type(error).__name__}"
    return heard


async def take(pieces: AsyncIterator[bytes], heard: Heard, manner: Manner) -> None:
    """Take sound as a player does, and note when it came.

    Parameters
    ----------
    pieces
        16-bit PCM, as it comes.
    heard
        Where it is noted.
    manner
        How the player behaves.
    """
    data, taken = b"", 0.0
    async for piece in pieces:
        now = time.monotonic()
        data += piece
        whole = len(data) // 2 * 2
        samples, data = np.frombuffer(data[:whole], "<i2"), data[whole:]
        heard.arrivals.append((now, 2 * len(samples) / BYTES))
        heard.last, taken = now, taken + 2 * len(samples) / BYTES
        if heard.first is None and first_audible((samples / 32768).astype(np.float32)) is not None:
            heard.first = now
        if manner.leaves is not None and taken >= manner.leaves:
            heard.outcome = "left"
            return
        if manner.ahead is not None:
            played = (now - heard.arrivals[0][0]) * manner.pace
            await asyncio.sleep(max(0.0, taken - manner.ahead - played) / manner.pace)
