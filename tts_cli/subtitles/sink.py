"""A sink that writes subtitles of what it passes on to another sink."""

from __future__ import annotations

import threading

from tts_cli.audio import AudioChunk
from tts_cli.playback import Sink
from tts_cli.playback.forwarding import ForwardingSink
from tts_cli.subtitles.placing import place
from tts_cli.subtitles.segment_sound import SegmentSound
from tts_cli.subtitles.target import SubtitleTarget


class SubtitledSink(ForwardingSink):
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
        super().__init__(sink)
        self._target = target
        self._before = 0.0  # seconds of sound before the segment that sounds
        self._sound: SegmentSound | None = None
        self._using = threading.Lock()  # `close` may come from another thread while one writes

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Note when the text of the chunk is heard, and pass the chunk on."""
        with self._using:
            if self._sound is None or self._sound.segment.number != chunk.segment.number:
                self._end_segment()
                self._sound = SegmentSound(chunk.segment, chunk.sample_rate)
            self._sound.add(chunk)
        self._sink.write(chunk, needed)

    def text_pending(self) -> None:
        """Write the cues of the last segment: all its sound has come."""
        with self._using:
            self._end_segment()
        self._sink.text_pending()

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

    def _end_segment(self, complete: bool = True) -> None:
        spoken, self._sound = self._sound, None
        if spoken is None:
            return
        before, self._before = self._before, self._before + spoken.activity.seconds
        for cue in place(spoken.segment, spoken.activity, spoken.words, before, complete):
            self._target.write(cue)
