"""Remembers segments until they have sounded to their end, so that they can be spoken again."""

from __future__ import annotations

from collections import deque

from tts_cli.engines import Segments
from tts_cli.segment import Segment


class Kept:
    """`engines.Segments` that gives those of a text, and remembers each while its sound is not complete.

    Parameters
    ----------
    segments
        The text.
    """

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._kept: deque[Segment] = deque()
        self._again: deque[Segment] = deque()
        self._sounding = -1
        """The number of the segment that the last chunk belongs to."""

    @property
    def wanted(self) -> int:
        """See `engines.Segments`."""
        return self._segments.wanted

    def take(self, wait: bool = True) -> Segment | None:
        """See `engines.Segments`."""
        if self._again:
            return self._again.popleft()
        if wait:  # the engine has given all sound of those before
            self._kept.clear()
        segment = self._segments.take(wait)
        if segment is not None:
            self._kept.append(segment)
        return segment

    def failed(self, segment: Segment, error: Exception) -> None:
        """See `engines.Segments`."""
        self._segments.failed(segment, error)
        self._kept = deque(each for each in self._kept if each.number != segment.number)

    def given(self, segment: Segment) -> None:
        """A chunk of `segment` was given: those before it are complete."""
        self._sounding = segment.number
        while self._kept and self._kept[0].number < segment.number:
            self._kept.popleft()

    @property
    def is_within(self) -> bool:
        """Whether some sound of a kept segment was given."""
        return any(each.number == self._sounding for each in self._kept)

    def replayed(self) -> Segments:
        """The segments whose sound is not complete, and then the rest of the text."""
        self._again, self._kept = self._kept, deque()
        return self
