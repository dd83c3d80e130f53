"""Runs a stage ahead in a thread of its own, by a bounded number of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Prefetch(Generic[Item]):
    """Iterates over items that a thread computes ahead.

    An error of the items is raised after the items before it. `close` ends the thread and waits until the item that is
    being computed is done.

    Parameters
    ----------
    items
        The items. The thread iterates over them.
    room
        How many finished items may wait.

    Examples
    --------
    >>> list(Prefetch((number * number for number in range(4)), room=2))
    [0, 1, 4, 9]
    """

    def __init__(self, items: Iterable[Item], room: int) -> None:
        self._queue: Queue[Item | _End] = Queue(room)
        self._stopped = Event()
        self._ended = Event()
        self._thread = Thread(target=self._work, args=(items,), name="prefetch", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many finished items wait."""
        return self._queue.qsize()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if self._stopped.is_set():
            raise StopIteration
        item = self._queue.get()
        if not isinstance(item, _End):
            return item
        self.close()
        raise item.error or StopIteration

    def close(self) -> None:
        """End the thread. Calling it twice is harmless.

        Ctrl-C does not shorten the waiting: an interpreter that exits while the thread is in C++ code aborts.
        """
        try:
            self._end()
        finally:
            self._end()

    def _end(self) -> None:
        self._stopped.set()
        with suppress(Empty):  # the thread may wait for a full queue; it puts one more item at most
            while True:
                self._queue.get_nowait()
        self._ended.wait()  # after Ctrl-C, a join can return while the thread runs (CPython 3.11)
        self._thread.join()

    def _work(self, items: Iterable[Item]) -> None:
        error: BaseException | None = None
        try:
            for item in items:
                self._queue.put(item)
                if self._stopped.is_set():
                    return
        except BaseException as caught:  # noqa: BLE001 (`__next__` raises it)
            error = caught
        finally:
            self._ended.set()
        self._queue.put(_End(error))
