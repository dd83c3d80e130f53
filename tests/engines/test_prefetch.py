"""Items that are computed in a thread before they are taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tts_cli.engines.prefetch import Prefetch


def running() -> bool:
    return any(thread.name == "prefetch" for thread in threading.enumerate())


def test_items_come_in_order() -> None:
    assert list(Prefetch(iter(range(100)), room=1)) == list(range(100))
    assert list(Prefetch([], room=1)) == []


def test_it_stays_within_its_room() -> None:
    produced = threading.Semaphore(0)
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        while True:
            count += 1
            produced.release()
            yield count

    stream = Prefetch(items(), room=3)
    assert next(stream) == 1
    for _ in range(5):  # one taken, three waiting, one in hand
        assert produced.acquire(timeout=5)
    assert not produced.acquire(timeout=0.05)
    stream.close()
    assert count <= 6
    assert not running()


def test_errors_of_every_kind_come_last() -> None:
    for error in (ValueError("x"), KeyboardInterrupt(), SystemExit(3)):

        def items(error: BaseException = error) -> Iterator[int]:
            yield 1
            raise error

        stream = Prefetch(items(), room=2)
        assert next(stream) == 1
        with pytest.raises(type(error)):
            next(stream)
        assert not running()
