"""The text source for text that arrives while it is spoken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from tts_cli.segment import MAX_CHARS, Sentence
from tts_cli.text.idle import Idle
from tts_cli.text.markup.reading import DEFAULT, Reading
from tts_cli.text.sentence_queue import AHEAD, SentenceQueue
from tts_cli.text.stream import SpeakableSentences


class LiveText:
    """Text that arrives while it is spoken.

    Parameters
    ----------
    pieces
        The text. The iterator may block; a thread of its own reads it.
    idle
        Seconds without new text after which complete sentences are spoken (see `Idle`); 0 to wait always.
    by_line
        Whether every line is spoken as soon as it ends.
    reading
        How to read the text.
    clock
        A monotonic clock, in seconds.

    Examples
    --------
    >>> text = LiveText(iter(["It rains. ", "It pours."]))
    >>> text.next_sentence(lambda: None).text, text.next_sentence(lambda: None).text
    ('It rains.', 'It pours.')
    """

    def __init__(
        self,
        pieces: Iterator[str],
        idle: float = 0.0,
        by_line: bool = False,
        reading: Reading = DEFAULT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pieces = pieces
        self._clock = clock
        self._idle = Idle(idle, clock())
        self._by_line = by_line
        self._sentences = SpeakableSentences(MAX_CHARS, reading.markup())
        self._ahead = SentenceQueue()
        self._ended = False
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above
        # A daemon thread, because nothing can interrupt a read from a pipe to which nobody writes.
        threading.Thread(target=self._read, name="read text", daemon=True).start()

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            for piece in self._pieces:
                if not self._take_in(piece):
                    return
            with self._changed:
                self._ahead.add(self._sentences.finish())
        except BaseException as caught:  # noqa: BLE001  `next_sentence` raises it
            error = caught
        with self._changed:
            self._ended, self._error = True, error
            self._ahead.add(self._sentences.rest())
            self._changed.notify_all()

    def _take_in(self, piece: str) -> bool:
        """Split `piece` and wait until more is needed. Returns False if the source is closed."""
        with self._changed:
            self._ahead.add(self._sentences.feed(piece))
            if self._by_line and piece.endswith("\n"):
                self._ahead.add(self._sentences.pause("all"))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._ahead.characters < AHEAD)
            self._idle.arrived(self._clock())
            return not self._closed

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:
        """See `sources.TextSource.next_sentence`."""
        with self._changed:
            must_wait = self._must_wait()
        if must_wait:
            pending()
        with self._changed:
            while self._must_wait():
                self._wait()
            if self._closed:
                return None
            if self._error is not None and not self._ahead:
                raise self._error
            return self._take()

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """See `sources.TextSource.join_next`."""
        with self._changed:
            return None if self._closed else self._take(fits)

    def _take(self, fits: Callable[[Sentence], bool] = lambda _: True) -> Sentence | None:
        sentence = self._ahead.take(fits)
        self._changed.notify_all()
        return sentence

    def _must_wait(self) -> bool:
        return not (self._ahead or self._ended or self._closed)

    def _wait(self) -> None:
        """Wait until something changes, or until the pause is so long that some of the rest can be spoken."""
        now = self._clock()
        if patience := self._idle.take(now):
            self._ahead.add(self._sentences.pause(patience))
        else:
            self._changed.wait(self._idle.left(now))

    @property
    def waiting_characters(self) -> int:
        """See `sources.TextSource.waiting_characters`."""
        return self._ahead.characters

    def close(self) -> None:
        """See `sources.TextSource.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
