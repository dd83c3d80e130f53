"""A sink that writes subtitles of what it passes on to another sink."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tts_cli.audio import AudioChunk, SpokenWord
from tts_cli.playback import Sink, SinkStatus
from tts_cli.segment import Segment
from tts_cli.subtitles.placing import place
from tts_cli.subtitles.sound import SegmentSound
from tts_cli.subtitles.target import SubtitleTarget


class SubtitledSink(Sink):
    """Passes sound on, and writes the cues of a segment when all its sound has come.

    Subtitles are complete or not there, as a sound file is: after an interruption they hold what was passed on so far,
    and after an error no file is there.

    Parameters
    ----------
    sink
        Where the sound goes.
    target
        Where the cues go.
    """

    def __init__(self, sink: Sink, target: SubtitleTarget) -> None:
        self._sink = sink
        self._target = target
        self._before = 0.0  # seconds of sound before the segment that sounds
        self._passage: _Passage | None = None
        self._using = threading.Lock()  # `close` may come from another thread while one writes

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Note when the text of the chunk is heard, and pass the chunk on."""
        with self._using:
            if self._passage is None or self._passage.segment.number != chunk.segment.number:
                self._end_segment()
                self._passage = _Passage(chunk.segment, chunk.sample_rate)
            self._passage.add(chunk)
        self._sink.write(chunk, needed)

    def pause(self) -> bool:
        """Pause the sink."""
        return self._sink.pause()

    def resume(self) -> None:
        """Resume the sink."""
        self._sink.resume()

    def skip(self, by: int) -> int | None:
        """Skip in the sink. The times of cues are those of the sound in the order in which it was computed."""
        return self._sink.skip(by)

    def adjust(self, speed: float, decibels: float) -> bool:
        """Adjust the sink. The times of cues stay those of the sound as it was computed."""
        return self._sink.adjust(speed, decibels)

    def text_pending(self) -> None:
        """Write the cues of the last segment: all its sound has come."""
        with self._using:
            self._end_segment()
        self._sink.text_pending()

    def check(self) -> None:
        """Ask the sink."""
        self._sink.check()

    def play_out(self) -> None:
        """Tell the sink."""
        self._sink.play_out()

    def finish(self) -> None:
        """Finish the sink, then complete the subtitles."""
        with self._using:
            self._end_segment()
        self._sink.finish()
        self._target.keep()
        with self._using:
            self._target.close()

    def interrupt(self) -> None:
        """Interrupt the sink first, because it is heard."""
        self._sink.interrupt()
        self._target.interrupt()

    def close(self) -> None:
        """Close both, even if the first fails. The subtitles of an interrupted run hold what was passed on."""
        try:
            self._sink.close()
        finally:
            with self._using:
                try:
                    if self._target.kept:
                        self._end_segment(complete=False)
                finally:
                    self._target.close()

    def status(self) -> SinkStatus:
        """The status of the sink."""
        return self._sink.status()

    def _end_segment(self, complete: bool = True) -> None:
        passage, self._passage = self._passage, None
        if passage is None:
            return
        before, self._before = self._before, self._before + passage.sound.seconds
        for cue in place(passage.segment, passage.sound, passage.words, before, complete):
            self._target.write(cue)


class _Passage:
    """The sound of one segment so far."""

    def __init__(self, segment: Segment, rate: int) -> None:
        self.segment = segment
        self.sound = SegmentSound(rate)
        self._words: list[SpokenWord] = []

    @property
    def words(self) -> Sequence[SpokenWord]:
        """Its known words, with times from the beginning of the segment's sound."""
        return self._words

    def add(self, chunk: AudioChunk) -> None:
        """Add a chunk of the segment."""
        at = self.sound.seconds
        self._words += (SpokenWord(word.start, word.stop, at + word.begin, at + word.end) for word in chunk.words)
        self.sound.add(chunk.samples)
