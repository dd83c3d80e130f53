"""The sound of one segment as far as it has come, and the words whose times its engine knows."""

from __future__ import annotations

from collections.abc import Sequence

from tts_cli.audio import AudioChunk, SpokenWord
from tts_cli.segment import Segment
from tts_cli.subtitles.speech_activity import SpeechActivity


class SegmentSound:
    """The sound of one segment so far.

    Parameters
    ----------
    segment
        The text.
    rate
        Samples a second.
    """

    def __init__(self, segment: Segment, rate: int) -> None:
        self.segment = segment
        self.activity = SpeechActivity(rate)
        self._words: list[SpokenWord] = []

    @property
    def words(self) -> Sequence[SpokenWord]:
        """Its known words, with times from the beginning of the segment's sound."""
        return self._words

    def add(self, chunk: AudioChunk) -> None:
        """Add a chunk of the segment."""
        at = self.activity.seconds
        self._words += (SpokenWord(word.start, word.stop, at + word.begin, at + word.end) for word in chunk.words)
        self.activity.add(chunk.samples)
