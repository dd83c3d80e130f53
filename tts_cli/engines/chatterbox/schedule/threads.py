"""Decides how many threads torch uses in each stage.

T3 reads all its weights for every token, so memory limits it. S3Gen has many small layers, and for these a second
thread costs more than it gains. So on few cores, T3 and S3Gen compute at the same time, each with one thread. Until the
tokens of the first chunk are drawn, S3Gen has no work. T3 then reads the text with all threads, and draws tokens with
the number of threads that is fastest. docs/lab/performance.md has the measurements.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import torch

from tts_cli.cores import cores

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Threads:
    """Numbers of threads for one utterance.

    Parameters
    ----------
    t3, s3gen
        For each stage while both compute.
    all
        For a stage that computes alone.
    """

    t3: int
    s3gen: int
    all: int

    @classmethod
    def share(cls, total: int) -> Threads:
        """Divide `total` threads, 1 or more: half of them for T3, the rest for S3Gen.

        Examples
        --------
        >>> Threads.share(5)
        Threads(t3=2, s3gen=3, all=5)
        """
        t3 = max(1, total // 2)
        return cls(t3, max(1, total - t3), total)


class Budget:
    """The threads of an engine, shared by the utterances that it computes at the same time.

    Parameters
    ----------
    number
        All threads; None for one for each core that this process may use.

    Attributes
    ----------
    total
        All threads.

    Examples
    --------
    >>> budget = Budget(4)
    >>> with budget.taking_part(), budget.taking_part():
    ...     budget.share()
    Threads(t3=1, s3gen=1, all=2)
    """

    def __init__(self, number: int | None) -> None:
        self.total = number or cores()
        self._utterances = 0
        self._counting = threading.Lock()

    def capacity(self, together: bool) -> int:
        """How many utterances can be computed at once.

        Parameters
        ----------
        together
            Whether one thread draws the tokens of all of them. Otherwise, each needs a thread for T3 and one for S3Gen.
        """
        return 2 * self.total if together else max(1, self.total // 2)

    @property
    def places(self) -> int:
        """How many chunks S3Gen computes at once: one for each thread, and 2 for an utterance alone."""
        return max(2, self.total)

    @property
    def t3(self) -> int:
        """The threads for T3 where one thread draws the tokens of all utterances, while S3Gen computes."""
        return max(1, self.total // 2)

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Count one utterance, as a context manager."""
        with self._counting:
            self._utterances += 1
        try:
            yield
        finally:
            with self._counting:
                self._utterances -= 1

    def share(self) -> Threads:
        """The threads for each of the utterances that are computed now."""
        return Threads.share(max(1, self.total // max(1, self._utterances)))


class QuickestThreads:
    """Finds out with how many threads something that happens often takes the least time.

    A token's step consists of hundreds of small products. How long a thread takes to wake up for each of them depends
    on the machine, so on some a second thread makes the step faster, and on others slower.

    Parameters
    ----------
    numbers
        The numbers of threads to choose from.

    Examples
    --------
    >>> quickest = QuickestThreads([1, 2])
    >>> for seconds in (0.015, 0.021, 0.014, 0.022):
    ...     quickest.took(quickest.number, seconds)
    >>> quickest.number
    1
    """

    TRIES: Final = 2
    """How often each number is tried. The first time can take longer than later ones."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._least = dict.fromkeys(numbers, math.inf)
        self._untried = list(self._least) * QuickestThreads.TRIES

    @property
    def number(self) -> int:
        """How many threads to use next time."""
        return self._untried[0] if self._untried else min(self._least, key=self._least.__getitem__)

    def took(self, number: int, seconds: float) -> None:
        """Record how long it took with `number` threads."""
        if self._untried[:1] == [number]:
            del self._untried[0]
        self._least[number] = min(self._least[number], seconds)


def use(number: int) -> None:
    """Make torch use `number` threads for what the current thread computes. Each thread has a number of its own."""
    torch.get_num_threads()  # otherwise, a thread's first use of torch sets its number to what was set last elsewhere
    torch.set_num_threads(number)


def with_own_threads(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Iterate over a generator that calls `use`, without an effect on the caller's number of threads.

    The numbers that the generator sets apply only while it computes an item. Between items and afterwards, the calling
    thread has the number that it had before.

    Examples
    --------
    >>> def numbers():
    ...     use(3)
    ...     yield torch.get_num_threads()
    >>> before = torch.get_num_threads()
    >>> list(with_own_threads(numbers())), torch.get_num_threads() == before
    ([3], True)
    """
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
        use(callers)  # also because a new thread begins with the number that any thread has set last
