"""Checks a sink again and again, so that a lost device is noticed also while nothing is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tts_cli.errors import TTSError
from tts_cli.playback import CHECK_SECONDS, Sink


class Watch:
    """Calls `check` of a sink every `CHECK_SECONDS`, in a thread of its own.

    Parameters
    ----------
    sink
        The sink.
    lost
        Called once when the sink cannot deliver any more.

    Attributes
    ----------
    failure : TTSError or None
        What `check` raised.
    """

    def __init__(self, sink: Sink, lost: Callable[[], None]) -> None:
        self.failure: TTSError | None = None
        self._sink = sink
        self._lost = lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch sink", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop checking; return when the last check is over."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            while not self._ended.wait(CHECK_SECONDS):
                self._sink.check()
        except TTSError as error:
            self.failure = error
            self._lost()


@contextmanager
def watched(sink: Sink, lost: Callable[[], None]) -> Iterator[Watch]:
    """Watch a sink while the block runs.

    When the sink cannot deliver any more, `lost` is called once; it should end what waits in the block. After the
    block, what `check` raised is raised.
    """
    watch = Watch(sink, lost)
    watch.start()
    try:
        yield watch
    finally:
        watch.end()
        if watch.failure is not None:
            raise watch.failure
