"""How many threads each stage computes with.

T3 reads all its weights for every token and is bound by memory, S3Gen by arithmetic and by the many small layers it
has, which gain less from a second thread than handing them their share costs. So on few cores the stages compute side
by side, each on its own; only until the first chunk's tokens are there, T3 has all (docs/performance.md).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from tts_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads for each stage where both compute at once, and for one stage at a time."""

    t3: int
    s3gen: int
    all: int

    @classmethod
    def share(cls, number: int | None) -> Threads:
        """`number` threads, or one for each core that this process may use: half for T3, the rest for S3Gen.

        Raises `UsageError` for none.
        """
        if number is not None and number < 1:
            raise UsageError(f"{number} threads compute nothing", "choose 1 or more")
        total = number or cores()
        t3 = max(1, total // 2)
        return cls(t3, max(1, total - t3), total)


def use(number: int) -> None:
    """Compute with so many threads from now on, in this thread of the program; each has a number of its own."""
    torch.get_num_threads()  # else its first use of torch would take over what another thread has set meanwhile
    torch.set_num_threads(number)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
