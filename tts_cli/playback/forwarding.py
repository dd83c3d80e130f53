"""A sink that passes everything on to another one, for sinks that look at the sound on its way."""

from __future__ import annotations

from tts_cli.audio import AudioChunk
from tts_cli.playback import Heard, Sink, SinkStatus


class ForwardingSink(Sink):
    """Passes everything on.

    Parameters
    ----------
    sink
        Where the sound goes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Write to the sink."""
        self._sink.write(chunk, needed)

    def pause(self) -> bool:
        """Pause the sink."""
        return self._sink.pause()

    def resume(self) -> None:
        """Resume the sink."""
        self._sink.resume()

    def skip(self, by: int) -> int | None:
        """Skip in the sink."""
        return self._sink.skip(by)

    def seek(self, place: Heard) -> bool:
        """Seek in the sink."""
        return self._sink.seek(place)

    def adjust(self, speed: float, decibels: float) -> bool:
        """Adjust the sink."""
        return self._sink.adjust(speed, decibels)

    def text_pending(self) -> None:
        """Tell the sink."""
        self._sink.text_pending()

    def check(self) -> None:
        """Ask the sink."""
        self._sink.check()

    def play_out(self) -> None:
        """Tell the sink."""
        self._sink.play_out()

    def finish(self) -> None:
        """Finish the sink."""
        self._sink.finish()

    def interrupt(self) -> None:
        """Interrupt the sink."""
        self._sink.interrupt()

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()

    def status(self) -> SinkStatus:
        """The status of the sink."""
        return self._sink.status()
