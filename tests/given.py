"""Segments for an engine that is spoken to directly."""

from __future__ import annotations

from collections import deque

from tts_cli.segment import Segment


class Given:
    """Segments that are all there: `engines.Segments` without a text source."""

    def __init__(self, *segments: Segment | str) -> None:
        self.wanted = 0
        self._segments = deque(
            Segment.of(each, number) if isinstance(each, str) else each for number, each in enumerate(segments)
        )

    def take(self, wait: bool = True) -> Segment | None:
        return self._segments.popleft() if self._segments else None

    def failed(self, segment: Segment, error: Exception) -> None:
        raise error
