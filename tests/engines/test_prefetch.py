"""Items that are computed in a thread before they are taken."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.harness import PATIENCE
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
        assert produced.acquire(timeout=PATIENCE)
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


def test_ctrl_c_while_it_closes_does_not_leave_the_thread_running() -> None:
    """Otherwise the exit of the interpreter can meet it inside C++ code, and aborts."""
    made, going, came = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.wait()
        stream._stopped.wait()
        # The main thread waits in `close`, or soon will. A signal that comes just before it begins to wait does not
        # wake it: CPython looks for signals before that, and nothing interrupts the wait. So another one follows.
        while not came.wait(0.05):
            os.kill(os.getpid(), signal.SIGUSR1)
        going.wait()
        yield 2

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        if came.is_set():
            return
        came.set()
        threading.Timer(0.2, going.set).start()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupted)
    try:
        stream = Prefetch(items(), room=1)
        made.set()
        assert next(stream) == 1
        with pytest.raises(KeyboardInterrupt):
            stream.close()
        assert going.is_set()
        assert not running()
    finally:
        signal.signal(signal.SIGUSR1, before)
        going.set()
