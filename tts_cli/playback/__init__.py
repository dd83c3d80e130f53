"""Where sound goes. `Sink` is the protocol; each kind of sink has a file of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

from tts_cli.audio import AudioChunk
from tts_cli.errors import OutputError, TTSError
from tts_cli.paths import cannot, is_full

CHECK_SECONDS: Final = 0.1
"""How often a sink is asked whether it can still deliver (`Sink.check`)."""


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How delivery stands; what is said of playback is zero for a sink that does not play."""

    delivered: float = 0.0
    """Seconds of sound taken: written to a file or a pipe, or given to a loudspeaker, played or still `buffered`."""
    playing: bool = False
    buffered: float = 0.0
    """Seconds of sound waiting to be played."""
    needed: float = 0.0
    """Seconds of sound to gather before playing starts (`prebuffer`)."""
    starved_frames: int = 0
    """Frames of silence inserted because the sound was not computed in time."""
    device_underflows: int = 0
    """Times the system reported that it was not served in time, whatever was in our buffer."""
    rate: int = 0
    """Frames a second that the device plays."""


class Sink(Protocol):
    """Takes sound. One thread writes, finishes and closes; all else may be called from another."""

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Take a chunk, waiting for room where there is none. All chunks of a sink have one sample rate.

        `needed`: seconds of sound to gather before playing starts; of no meaning to a sink that does not play.
        Raises `OutputError` when the sound cannot be delivered any more.
        """
        ...

    def pause(self) -> bool:
        """Play silence until `resume`; whether this sink plays. One that does not is to be given nothing meanwhile."""
        ...

    def resume(self) -> None:
        """Go on with the sample after the last one that was played."""
        ...

    def skip(self, by: int) -> int | None:
        """Go `by` segments on or back; the number of the segment that plays then. None for a sink that does not play.

        A segment that has not been written yet plays when it comes.
        """
        ...

    def text_pending(self) -> None:
        """No more text is known for now: what has been written is to be heard, and silence behind it is no fault."""
        ...

    def check(self) -> None:
        """Raise `OutputError` where sound cannot be delivered any more. Called every `CHECK_SECONDS` until `finish`."""
        ...

    def finish(self) -> None:
        """All sound has been written: deliver it, and return when it is delivered."""
        ...

    def play_out(self) -> None:
        """No more comes, though this is not all: what was written is heard to its end, and a file stays incomplete."""
        ...

    def interrupt(self) -> None:
        """Fall silent now, and end every wait. A file keeps the sound that it was given so far."""
        ...

    def close(self) -> None:
        """Let go of everything. A file that was neither finished nor interrupted leaves no trace."""
        ...

    def status(self) -> SinkStatus:
        """How delivery stands."""
        ...


def cannot_write(where: str, error: OSError) -> TTSError:
    """The error for an output that cannot be written, and what to do about it."""
    remedy = "free some space or choose another place with -o" if is_full(error) else "choose another place with -o"
    return cannot("write", where, error, remedy, OutputError)


class NullSink:
    """Takes sound and forgets it: for measuring."""

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Forget it."""

    def pause(self) -> bool:
        """Nothing plays."""
        return False

    def resume(self) -> None:
        """Nothing to do."""

    def skip(self, by: int) -> int | None:  # noqa: ARG002
        """Nothing plays."""
        return None

    def text_pending(self) -> None:
        """Nothing to do."""

    def check(self) -> None:
        """Nothing can go wrong."""

    def finish(self) -> None:
        """Nothing to do."""

    def play_out(self) -> None:
        """Nothing to do."""

    def interrupt(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def status(self) -> SinkStatus:
        """All zero."""
        return SinkStatus()


class BothSinks(NullSink):
    """The same sound into two sinks: a file, and the speaker that tells how playback stands."""

    def __init__(self, file: Sink, speaker: Sink) -> None:
        self._file = file
        self._speaker = speaker

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Write to the file, then to the speaker (which may wait for room)."""
        self._file.write(chunk, needed)
        self._speaker.write(chunk, needed)

    def pause(self) -> bool:
        """Pause the speaker; the file goes on."""
        return self._speaker.pause()

    def resume(self) -> None:
        """Resume the speaker."""
        self._speaker.resume()

    def skip(self, by: int) -> int | None:
        """Skip in the speaker. What is skipped before it was computed is missing in the file."""
        return self._speaker.skip(by)

    def text_pending(self) -> None:
        """Tell the speaker."""
        self._speaker.text_pending()

    def check(self) -> None:
        """Ask both."""
        self._file.check()
        self._speaker.check()

    def play_out(self) -> None:
        """Tell the speaker."""
        self._speaker.play_out()

    def finish(self) -> None:
        """Complete the file first, since the speaker takes its time."""
        self._file.finish()
        self._speaker.finish()

    def interrupt(self) -> None:
        """Interrupt the speaker first, since somebody listens."""
        self._speaker.interrupt()
        self._file.interrupt()

    def close(self) -> None:
        """Close both, even if the first fails."""
        try:
            self._file.close()
        finally:
            self._speaker.close()

    def status(self) -> SinkStatus:
        """The speaker's, but for what was delivered: that is said of the file."""
        return replace(self._speaker.status(), delivered=self._file.status().delivered)
