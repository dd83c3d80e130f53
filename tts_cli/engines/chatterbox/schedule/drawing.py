"""Draws the tokens of one text in a thread: of the segment that is heard, and of the next ones in the same batch.

A batch of several rows costs each row time. So the segment that is heard is drawn alone while the listener has little
sound in hand, and all take part when there is slack, or when T3 would otherwise wait. They also take part when the
listener has had to wait for sound: then drawing alone is too slow, and only a larger batch makes the rest faster. The
texts of the next segments are read one after another, in pieces.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final

from tts_cli.engines.chatterbox.schedule.threads import Threads, use
from tts_cli.engines.chatterbox.t3.batch import Batch, Row
from tts_cli.engines.chatterbox.t3.model import TokenRequest

SLACK: Final = 0.5
"""Seconds of computed sound that the listener has not heard. With less, the segment that is heard is drawn alone."""
PLENTY: Final = 50
"""Drawn tokens that wait to be decoded (2 s). With more, the segments after them take part in any case."""
WAITED: Final = 0.5
"""Seconds that the listener has waited for sound. After more, the segments take part in any case."""


class Listener:
    """How much sound the listener has in hand, if each chunk is heard as soon as it can be.

    Parameters
    ----------
    clock
        Returns the time in seconds.

    Examples
    --------
    >>> listener = Listener(lambda: 10.0)
    >>> listener.given(2.5)
    >>> listener.slack, listener.waited
    (2.5, 0.0)

    Attributes
    ----------
    waited
        Seconds that the listener has waited for sound since the first.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.waited = 0.0
        self._clock = clock
        self._begun = False
        self._runs_out = clock()

    def given(self, seconds: float) -> None:
        """Record that the listener is given so much sound."""
        now = self._clock()
        if self._begun:
            self.waited += max(0.0, now - self._runs_out)
        self._begun = True
        self._runs_out = max(self._runs_out, now) + seconds

    @property
    def slack(self) -> float:
        """Seconds until the listener has heard everything; 0 or less if that is so."""
        return self._runs_out - self._clock()


@dataclass(frozen=True, slots=True)
class Standing:
    """A row as the policy sees it."""

    waiting: int
    """Its tokens that have been drawn and not taken."""
    ended: bool = False
    """Whether all its tokens have been drawn."""
    reading: bool = False
    """Whether its text has not been read to the end."""


def taking_part(rows: Sequence[Standing], slack: float, waited: float = 0.0) -> list[int]:
    """Which rows draw their next token in the next step.

    Parameters
    ----------
    rows
        In the order in which they are heard.
    slack, waited
        Of the `Listener`.

    Returns
    -------
    list of int
        Their indices, in order. At most one of them, apart from the first, reads its text.

    Examples
    --------
    >>> rows = [Standing(3), Standing(0), Standing(0, reading=True), Standing(0, reading=True)]
    >>> taking_part(rows, slack=0.1), taking_part(rows, slack=2)
    ([0], [0, 1, 2])
    """
    drawing = [index for index, row in enumerate(rows) if not row.ended]
    first, others = drawing[:1], drawing[1:]
    in_hand = sum(row.waiting for row in rows[: drawing[0] + 1]) if drawing else 0
    if slack < SLACK and in_hand < PLENTY and waited < WAITED:
        return first
    next_to_read = next((index for index in others if rows[index].reading), None)
    return first + [index for index in others if index == next_to_read or not rows[index].reading]


class Tokens(Iterator[int]):
    """The tokens of one segment, from the thread that draws them. An error is raised after the tokens before it.

    Closing it frees its row.
    """

    def __init__(self, row: Row, stops: Callable[[int], bool], first: int, changed: Condition) -> None:
        self.row: Row | None = row
        """None when all tokens have been drawn, or when it is closed."""
        self.error: Exception | None = None
        self._stops, self._first, self._changed = stops, first, changed
        self._drawn: deque[int] = deque()
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many tokens have been drawn and not taken."""
        return len(self._drawn)

    @property
    def standing(self) -> Standing:
        """What the policy knows of it."""
        return Standing(self.waiting, self.row is None, self.row is not None and self.row.reading)

    @property
    def begins(self) -> bool:
        """Whether the tokens of its first chunk are still being drawn."""
        return self.row is not None and self._count < self._first

    def __next__(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._drawn or self.row is None)
            if self._drawn:
                return self._drawn.popleft()
            if self.error is not None:
                raise self.error
            raise StopIteration

    def add(self, token: int | None) -> None:
        """Add what the row has drawn. `changed` is held."""
        row = self.row
        if row is None:
            return
        if token is not None:
            self._drawn.append(token)
            self._count += 1
        if row.ended or (token is not None and self._stops(token)):
            self.end(row.error)

    def end(self, error: Exception | None = None) -> None:
        """Free the row. `changed` is held."""
        if self.row is not None:
            self.row, self.error = None, error
            self._changed.notify_all()

    def close(self) -> None:
        """End it, and drop what was drawn. Calling it twice is harmless."""
        with self._changed:
            self._drawn.clear()
            self.end()


class Drawing:
    """A thread that draws the tokens of the segments of one text.

    Parameters
    ----------
    batch
        The rows' model and voice.
    listener
        Who hears them.
    threads
        How many threads torch uses. T3 has all of them until the tokens of a first chunk are drawn that is waited for.
    """

    def __init__(self, batch: Batch, listener: Listener, threads: Callable[[], Threads]) -> None:
        self._batch, self._listener, self._threads = batch, listener, threads
        self._changed = Condition()
        self._segments: list[Tokens] = []
        self._closed = False
        self._thread = Thread(target=self._work, name="draw tokens", daemon=True)
        self._thread.start()

    def begin(self, request: TokenRequest, stops: Callable[[int], bool], first: int) -> Tokens:
        """Draw the tokens of one more segment, which is heard after all others.

        Parameters
        ----------
        request
            What is drawn.
        stops
            Takes each token, and returns whether it must be the last.
        first
            Tokens of the first chunk.
        """
        tokens = Tokens(self._batch.row(request), stops, first, self._changed)
        with self._changed:
            self._segments.append(tokens)
            self._changed.notify_all()
        return tokens

    def forget(self, tokens: Tokens) -> None:
        """Close `tokens`: its sound is computed, or nobody wants it."""
        tokens.close()
        with self._changed:
            self._segments = [each for each in self._segments if each is not tokens]

    def close(self) -> None:
        """End the thread and all segments. Calling it twice is harmless."""
        with self._changed:
            self._closed = True
            for tokens in self._segments:
                tokens.end()
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while (rows := self._next()) is not None:
            drawn: list[int | None] = [None] * len(rows)
            error: Exception | None = None
            try:
                drawn = self._batch.step([row for _, row in rows])
            except Exception as caught:  # noqa: BLE001 (`Tokens` raises it)
                error = caught
            with self._changed:
                for (tokens, _), token in zip(rows, drawn, strict=True):
                    if error is None:
                        tokens.add(token)
                    else:
                        tokens.end(error)
                self._changed.notify_all()

    def _next(self) -> list[tuple[Tokens, Row]] | None:
        """The rows of the next step; None at the end. Waits until there are some."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(each.row for each in self._segments))
            if self._closed:
                return None
            heard, threads = self._segments[0], self._threads()
            use(threads.all if heard.begins else threads.t3)
            standing = [each.standing for each in self._segments]
            chosen = taking_part(standing, self._listener.slack, self._listener.waited)
            part = (self._segments[index] for index in chosen)
            return [(tokens, tokens.row) for tokens in part if tokens.row is not None]
