"""Continuous batching: one thread draws the tokens of all texts that an engine speaks.

In each step, `policy` says which segments take part. Segments join and leave between steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Final

from tts_cli.engines.chatterbox.schedule.drawn_tokens import Tokens
from tts_cli.engines.chatterbox.schedule.earliest_deadline import Turns
from tts_cli.engines.chatterbox.schedule.policy import Listener, TextStanding, gives_way, taking_part_of
from tts_cli.engines.chatterbox.schedule.threads import Budget, QuickestThreads, use
from tts_cli.engines.chatterbox.t3.batch import Batch, Row
from tts_cli.engines.chatterbox.t3.model import TokenRequest

LONG: Final = 450
"""If the segments of a text that are being drawn may have this many tokens together, all weights of T3 are packed soon
after the text has begun. Most texts have half as many tokens as they may. Packing takes about the time that it saves
over 200 tokens."""


class DrawnText:
    """The segments of one text whose tokens are drawn. Made by `TokenBatcher.text`; closing it frees its rows.

    Parameters
    ----------
    batcher
        Draws them.
    listener
        Who hears them.
    """

    def __init__(self, batcher: TokenBatcher, listener: Listener) -> None:
        self._batcher, self._listener = batcher, listener
        self.segments: list[Tokens] = []
        """In the order in which they are heard. Used while the lock of `TokenBatcher` is held."""

    def begin(
        self, request: TokenRequest, stops: Callable[[int], bool], first: int, wanted: Callable[[], bool]
    ) -> Tokens:
        """Draw the tokens of one more segment, which is heard after all others.

        Parameters
        ----------
        request
            What is drawn.
        stops, first, wanted
            As for `Tokens`.

        Returns
        -------
        Tokens
            They can be taken while they are drawn.
        """
        return self._batcher.begin(self, request, stops, first, wanted)

    def forget(self, tokens: Tokens) -> None:
        """Close `tokens`: its sound is computed, or nobody wants it."""
        tokens.close()
        self._batcher.remove(self, tokens)

    def close(self) -> None:
        """End all segments, and with the last text the thread. Calling it twice is harmless."""
        self._batcher.leave(self)

    @property
    def waiting(self) -> int:
        """How many tokens of all segments have been drawn and not taken."""
        return sum(each.waiting for each in self.segments)

    @property
    def heard(self) -> Tokens | None:
        """The first segment whose tokens are not all drawn."""
        return next((each for each in self.segments if each.row is not None), None)

    @property
    def packs(self) -> bool:
        """Whether T3's weights are packed now because the text is `LONG`."""
        if not self.segments or not self.segments[0].past_first_chunk:
            return False
        return sum(each.row.most for each in self.segments if each.row is not None) >= LONG

    @property
    def standing(self) -> TextStanding:
        """What the policy knows of it."""
        begins = not self._listener.begun and bool(self.segments) and self.segments[0].begins
        rows = [each.standing for each in self.segments]
        listener = self._listener
        return TextStanding(rows, listener.slack, listener.waited, begins, listener.sound)


class TokenBatcher:
    """Draws the tokens of all texts of an engine, in a thread that lives while there are texts.

    Parameters
    ----------
    batch
        The model of the rows.
    budget
        The threads of the engine. If there is one text, T3 may use all of them until the tokens of its first chunk are
        drawn.
    turns
        The places in which S3Gen computes.
    """

    def __init__(self, batch: Batch, budget: Budget, turns: Turns) -> None:
        self._batch, self._budget, self._turns = batch, budget, turns
        self._changed = turns.changed
        self._texts: list[DrawnText] = []
        self._thread: Thread | None = None
        self._quickest = QuickestThreads((1, budget.t3, budget.total))

    def text(self, listener: Listener) -> DrawnText:
        """Add a text. `listener` hears it."""
        text = DrawnText(self, listener)
        with self._changed:
            self._texts.append(text)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="draw tokens", daemon=True)
                self._thread.start()
        return text

    def begin(
        self,
        text: DrawnText,
        request: TokenRequest,
        stops: Callable[[int], bool],
        first: int,
        wanted: Callable[[], bool],
    ) -> Tokens:
        """See `DrawnText.begin`."""
        tokens = Tokens(self._batch.row(request), stops, first, wanted, self._changed)
        with self._changed:
            text.segments.append(tokens)
            self._changed.notify_all()
        return tokens

    def remove(self, text: DrawnText, tokens: Tokens) -> None:
        """See `DrawnText.forget`."""
        with self._changed:
            text.segments = [each for each in text.segments if each is not tokens]

    def leave(self, text: DrawnText) -> None:
        """See `DrawnText.close`."""
        with self._changed:
            for tokens in text.segments:
                tokens.end()
            text.segments = []
            self._texts = [each for each in self._texts if each is not text]
            thread = self._thread
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._texts or self._thread is not thread)
            ended = self._thread is not thread
        if ended and thread is not None:
            thread.join()

    def _wanted(self) -> bool:
        """Whether someone wants tokens that are not drawn."""
        return any(tokens.wanted for text in self._texts for tokens in text.segments)

    @property
    def _may_draw(self) -> bool:
        """Whether there is something to draw now."""
        if not any(text.heard for text in self._texts):
            return False
        return not (self._turns.full and gives_way([text.standing for text in self._texts]))

    def _work(self) -> None:
        while (step := self._next()) is not None:
            drawn: list[int | None] = [None] * len(step.rows)
            error: Exception | None = None
            try:
                if step.packs:
                    self._batch.settle(self._wanted)
                began = time.perf_counter()
                use(step.threads)
                drawn = self._batch.step([row for _, row in step.rows])
                if step.timed:
                    self._quickest.took(step.threads, time.perf_counter() - began)
            except Exception as caught:  # noqa: BLE001 (`Tokens` raises it)
                error = caught
            with self._changed:
                for (tokens, _), token in zip(step.rows, drawn, strict=True):
                    if error is None:
                        tokens.add(token)
                    else:
                        tokens.end(error)
                self._changed.notify_all()

    def _next(self) -> _Step | None:
        """The next step; None when the last text has left.

        Waits until there are rows, and while T3 gives way to S3Gen.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._texts or self._may_draw)
            if not self._texts:
                self._thread = None
                self._changed.notify_all()
                return None
            chosen = taking_part_of([text.standing for text in self._texts])
            part = (self._texts[text].segments[row] for text, row in chosen)
            rows = [(tokens, tokens.row) for tokens in part if tokens.row is not None]
            alone = len(self._texts) == 1 and self._texts[0].segments[0].begins
            reads = any(row.reading for _, row in rows)
            number = self._quickest.number
            threads = self._budget.t3 if not alone else self._budget.total if reads else number
            timed = alone and not reads and len(rows) == 1 and self._turns.idle
            return _Step(rows, any(text.packs for text in self._texts), threads, timed)


@dataclass(frozen=True, slots=True)
class _Step:
    rows: list[tuple[Tokens, Row]]
    packs: bool
    """Whether weights are packed before it."""
    threads: int
    timed: bool
    """Whether it draws one token while S3Gen computes nothing, so its time says which number of threads is best."""
