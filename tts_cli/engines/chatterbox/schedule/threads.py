"""How many threads each stage computes with.

T3 reads all its weights for every token and is bound by memory, S3Gen by arithmetic and by the many small layers it
has, which gain less from a second thread than handing them their share costs. So on few cores the stages compute side
by side, each on its own; only until the first chunk's tokens are there, T3 has all (docs/lab/performance.md).
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from tts_cli.engines.chatterbox.schedule.cores import cores

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads for each stage where both compute at once, and for one stage at a time."""

    t3: int
    s3gen: int
    all: int

    @classmethod
    def share(cls, total: int) -> Threads:
        """`total` threads, 1 or more: half for T3, the rest for S3Gen."""
        t3 = max(1, total // 2)
        return cls(t3, max(1, total - t3), total)


class Budget:
    """The threads of an engine, shared by the utterances that it computes at the same time.

    Parameters
    ----------
    number
        Threads in all; None for one for each core that this process may use.
    """

    def __init__(self, number: int | None) -> None:
        self._total = number or cores()
        self._utterances = 0
        self._counting = threading.Lock()

    @property
    def capacity(self) -> int:
        """How many utterances keep up with their listeners: each needs a thread for T3 and one for S3Gen."""
        return max(1, self._total // 2)

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Count an utterance while the block runs."""
        with self._counting:
            self._utterances += 1
        try:
            yield
        finally:
            with self._counting:
                self._utterances -= 1

    def share(self) -> Threads:
        """What falls to each of the utterances that take part now."""
        return Threads.share(max(1, self._total // max(1, self._utterances)))


def use(number: int) -> None:
    """Compute with so many threads from now on, in this thread of the program; each has a number of its own."""
    torch.get_num_threads()  # else its first use of torch would take over what another thread has set meanwhile
    torch.set_num_threads(number)


def apart(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """`items`, which may say how many threads to `use`: that holds while one is computed, and not for who takes it."""
    own: int | None = None
    callers = torch.get_num_threads()
    try:
        while True:
            callers = torch.get_num_threads()
            if own is not None:
                use(own)
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                own = torch.get_num_threads()
                use(callers)
            yield item
            callers = torch.get_num_threads()
    finally:
        items.close()
        use(callers)  # torch gives a new thread what was set last, by whichever thread
