"""A look at a sink, again and again, while others wait for text or compute: a lost device must not wait for a write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tts_cli.errors import TTSError
from tts_cli.playback import CHECK_SECONDS, Sink


class Watch:
    """Asks a sink, every `CHECK_SECONDS`, whether it can still deliver."""

    def __init__(self, sink: Sink, lost: Callable[[], None]) -> None:
        self.failure: TTSError | None = None
        """What the sink said when it could not deliver any more."""
        self._sink = sink
        self._lost = lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch sink", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Look no more; returns when the last look is over."""
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
    """Watch `sink` while the block runs. Calls `lost` once where it cannot deliver any more, to end what waits in the
    block, and raises what the sink said when the block has ended, however it did.
    """
    watch = Watch(sink, lost)
    watch.start()
    try:
        yield watch
    finally:
        watch.end()
        if watch.failure is not None:
            raise watch.failure
