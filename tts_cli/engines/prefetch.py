"""Two stages at once: the first runs ahead in a thread of its own, a bounded number of items."""

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
    """What some items are, in order, computed in a thread that is at most `room` of them ahead.

    What the items raise is raised here, behind those that came before it. Closing this ends the thread and waits for
    it: at most until the item being computed is done.
    """

    def __init__(self, items: Iterable[Item], room: int) -> None:
        self._queue: Queue[Item | _End] = Queue(room)
        self._stopped = Event()
        self._thread = Thread(target=self._work, args=(items,), name="prefetch", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items are there already."""
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
        """End the thread. Calling it twice is harmless."""
        self._stopped.set()
        with suppress(Empty):  # a full queue may be holding the thread up; it puts one more item at most
            while True:
                self._queue.get_nowait()
        self._thread.join()

    def _work(self, items: Iterable[Item]) -> None:
        error: BaseException | None = None
        try:
            for item in items:
                self._queue.put(item)
                if self._stopped.is_set():
                    return
        except BaseException as caught:  # noqa: BLE001 (it is raised again where the items are taken)
            error = caught
        self._queue.put(_End(error))
