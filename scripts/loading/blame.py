"""Whose fault a gap is: the server's, the machine's or this script's. Linux only.

Ten times a second the script notes what the system counts:

- how late its own event loop was. It takes the sound, so sound that it took late may have been there in time;
- for how long threads of the server were ready to run and did not run, because the processors were taken;
- how much processor time was taken by others than server and script, the host of this machine included.

A gap is the **script's** if its loop was late by half of the gap or more. It is the **machine's** if threads of the
server waited for half of it or more while others took a tenth of the processors or more. All other gaps are the
**server's**. The time that counts is from the sound before the gap until its end. Of a server that runs elsewhere no
threads are known, so no gap is the machine's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loading.listener import Gap
from loading.served import TICK, Served, cpu_seconds

STEP: Final = 0.1
KEPT_SECONDS: Final = 300.0
SHARE: Final = 0.5
OTHERS: Final = 0.1


@dataclass(frozen=True)
class Step:
    """What was counted from one moment to another, in seconds."""

    begin: float
    end: float
    late: float
    """By how much the script's event loop was late."""
    waited: float
    """For how long threads of the server were ready and did not run."""
    others: float
    """Processor time that others took."""


def culprit(gap: Gap, steps: Iterable[Step], cores: int) -> str:
    """`script`, `machine` or `server`.

    Examples
    --------
    >>> culprit(Gap(0.0, 0.5, 1.0), [Step(0.0, 1.0, 0.0, 0.6, 1.5)], cores=2)
    'machine'
    """
    during = [step for step in steps if step.end > gap.last and step.begin < gap.end]
    if sum(step.late for step in during) >= SHARE * gap.seconds:
        return "script"
    passed = sum(step.end - step.begin for step in during)
    waited, others = sum(step.waited for step in during), sum(step.others for step in during)
    if waited >= SHARE * gap.seconds and others >= OTHERS * cores * passed:
        return "machine"
    return "server"


class Watch:
    """Counts, in a task of the event loop, as an asynchronous context manager.

    Parameters
    ----------
    server
        The server that is watched.
    """

    def __init__(self, server: Served) -> None:
        self._server = server
        self.steps: deque[Step] = deque(maxlen=round(KEPT_SECONDS / STEP))
        self.others = 0.0
        """Processor time that others took, in all."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_raised: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def culprit(self, gap: Gap) -> str:
        """See `culprit`."""
        return culprit(gap, self.steps, os.cpu_count() or 1)

    async def _count(self) -> None:
        began, counts, waits = time.monotonic(), self._busy(), _waits(self._server.pid)
        while True:
            await asyncio.sleep(STEP)
            woken = time.monotonic()
            busy, waiting = self._busy(), _waits(self._server.pid)
            waited = sum(max(0, delay - waits.get(thread, 0)) for thread, delay in waiting.items()) / 1e9
            others = max(0.0, busy - counts)
            self.others += others
            self.steps.append(Step(began, woken, max(0.0, woken - began - STEP), waited, others))
            began, counts, waits = woken, busy, waiting

    def _busy(self) -> float:
        """Processor time that others than server and script have taken, in seconds."""
        fields = [int(each) for each in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
        idle = fields[3] + fields[4]
        ours = self._server.cpu() + cpu_seconds(os.getpid())
        return (sum(fields) - idle) * TICK - ours


def _waits(pid: int | None) -> dict[str, int]:
    """For how many nanoseconds each thread of a process has been ready and has not run."""
    found = {}
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError, IndexError):
                found[task.name] = int((task / "schedstat").read_text().split()[1])
    return found
