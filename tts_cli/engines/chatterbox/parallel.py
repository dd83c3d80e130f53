"""Two stages at once: the first runs ahead in a thread of its own, a bounded number of items."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def ahead(items: Iterable[Item], room: int = 2) -> Generator[Item, None, None]:
    """What `items` yields, in order, computed in a thread that is at most `room` items ahead.

    What `items` raises is raised here, behind the items that came before it. Closing this generator, or an
    error thrown into it, ends the thread and waits for it: at most until the item being computed is done.
    """
    queue: Queue[Item | _End] = Queue(room)
    stopped = Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                queue.put(item)
                if stopped.is_set():
                    return
        except BaseException as caught:  # noqa: BLE001 (it is raised again where the items are taken)
            error = caught
        queue.put(_End(error))

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        with suppress(Empty):  # a full queue may be holding the thread up; it puts one more item at most
            while True:
                queue.get_nowait()
        thread.join()
