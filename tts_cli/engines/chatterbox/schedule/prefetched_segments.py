"""Takes the segments of a text before they are heard, so that their tokens can be drawn together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tts_cli.engines import Segments
from tts_cli.engines.chatterbox.schedule.batching import DrawnText
from tts_cli.engines.chatterbox.schedule.drawn_tokens import Tokens
from tts_cli.segment import Segment

Begin = Callable[[Segment], "Tokens | None"]
"""Begins to draw a segment's tokens; None if nothing of it can be spoken."""


class PrefetchedSegments:
    """The segments of an utterance, of which some are being drawn already. Implements `engines.Segments`.

    Parameters
    ----------
    segments
        The text.
    drawn
        The text's segments that are drawn.
    most
        How many segments are drawn at once.
    begin
        Begins to draw one. If it raises, it is called again when the segment is heard.
    """

    def __init__(self, segments: Segments, drawn: DrawnText, most: int, begin: Begin) -> None:
        self._segments, self._drawn, self._most, self._begin = segments, drawn, most, begin
        self._ahead: deque[Segment] = deque()
        self._begun: dict[int, Tokens | None] = {}

    @property
    def wanted(self) -> int:
        """See `engines.Segments`."""
        return self._segments.wanted

    def take(self, wait: bool = True) -> Segment | None:
        """See `engines.Segments`."""
        self._drop_skipped()
        return self._ahead.popleft() if self._ahead else self._segments.take(wait)

    def failed(self, segment: Segment, error: Exception) -> None:
        """See `engines.Segments`."""
        self._segments.failed(segment, error)

    def tokens(self, segment: Segment) -> Tokens | None:
        """The tokens of a segment that was taken, whether it is being drawn already or not."""
        if segment.number not in self._begun:
            self._begun[segment.number] = self._begin(segment)
        return self._begun[segment.number]

    def done(self, segment: Segment) -> None:
        """Free what a segment holds. Calling it twice is harmless."""
        if (tokens := self._begun.pop(segment.number, None)) is not None:
            self._drawn.forget(tokens)

    def prefetch(self) -> None:
        """Take the segments that are there now, up to `most` with the one that is heard, and begin to draw them."""
        self._drop_skipped()
        while len(self._ahead) < self._most - 1 and (segment := self._segments.take(wait=False)) is not None:
            self._ahead.append(segment)
            try:
                self._begun[segment.number] = self._begin(segment)
            except Exception:  # noqa: BLE001 (raised when the segment is heard)
                continue

    def _drop_skipped(self) -> None:
        for segment in self._ahead:
            if segment.number < self.wanted:
                self.done(segment)
