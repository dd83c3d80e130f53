"""Segments for an engine: given directly, or taken from a text source."""

from __future__ import annotations

from collections import deque

from tts_cli.metrics import Meter
from tts_cli.segment import MAX_CHARS, Segment
from tts_cli.segments import TextSegments
from tts_cli.text.sources import TextSource


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


def segments(source: TextSource, meter: Meter, grouped: bool = False) -> TextSegments:
    """The segments of a source: one sentence each, or as many as fit into `MAX_CHARS`."""
    return TextSegments(source, meter, together=_fits if grouped else None)


def _fits(segment: Segment) -> bool:
    return len(segment.text) <= MAX_CHARS
