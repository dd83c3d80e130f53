"""Playback: chunks of sound are played, or written to a file or a pipe.

Chunks come in, one sample rate for each sink. Sound goes out to a speaker (`speaker`), a file (`file`) or an open
descriptor (`stream`, with `outlet`); `opening` opens them. A speaker puts sound into the `ring` (`placement`), and
`playout` decides what of it a device gets. An `output` (with its `history`) gives it to a `device_stream`, which can
take it back: a `pulse_stream` for PulseAudio and PipeWire (with `libpulse` and `alsa`), otherwise a `process_stream`.
A `microphone` records. Modules outside use the classes and functions here, `devices`, `file`, `forwarding`,
`microphone`, `opening`, `outlet`, `prebuffer`, `stream` and `watch`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tts_cli.audio import AudioChunk
from tts_cli.errors import OutputError, TTSError
from tts_cli.paths import cannot, is_full

CHECK_SECONDS: Final = 0.1
"""Seconds from one call of `Sink.check` to the next."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The place in the text that a listener hears."""

    segment: int
    """The number of the segment."""
    seconds: float
    """How much of its sound has been heard, at the pace at which it was written."""


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How delivery stands. All fields but `delivered` are zero or false for a sink that does not play."""

    delivered: float = 0.0
    """Seconds of sound taken: written to a file or a pipe, or played, or still `buffered`."""
    playing: bool = False
    buffered: float = 0.0
    """Seconds of sound that wait to be played."""
    needed: float = 0.0
    """Seconds of sound to gather before playing starts (`prebuffer`)."""
    starved_frames: int = 0
    """Frames of silence that were played because the sound was not computed in time."""
    device_underflows: int = 0
    """How often the system reported that it got no sound in time, although the ring may have held some."""
    rate: int = 0
    """Frames a second of the device."""
    heard: Heard | None = None
    """What is heard now; None before the first sound."""


class Sink:
    """Where sound goes. One thread calls `write`, `finish`, `play_out` and `close`; the rest may come from any thread.

    The methods here are those of a sink that does not play and has nothing to wait for. Each kind of sink overrides
    the ones in which it differs.
    """

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Take a chunk, after waiting for room if there is none.

        Parameters
        ----------
        chunk
            The sound. All chunks of a sink have one sample rate.
        needed
            Seconds of sound to gather before playing starts. A sink that does not play ignores it.

        Raises
        ------
        OutputError
            If the sound cannot be delivered any more.
        """

    def pause(self) -> bool:
        """Play silence until `resume`. Returns whether this sink plays; one that does not must get no chunks then."""
        return False

    def resume(self) -> None:
        """Continue with the sample after the last one that was played."""

    def skip(self, by: int) -> int | None:
        """Go `by` segments forward, or back if `by` is negative.

        Returns the number of the segment that plays next, or None if this sink does not play. A segment that has not
        been written yet plays when it comes.
        """
        del by
        return None

    def seek(self, place: Heard) -> bool:
        """Go to a place in the text. Returns whether this sink plays and has stored its sound."""
        del place
        return False

    def adjust(self, speed: float, decibels: float) -> bool:
        """Play everything that is not about to be heard at another pace and volume.

        Parameters
        ----------
        speed
            How many times as fast as it is written.
        decibels
            How much louder; negative: quieter.

        Returns
        -------
        bool
            Whether this sink plays. One that does not changes nothing.
        """
        del speed, decibels
        return False

    def text_pending(self) -> None:
        """No more text is known for now. Play what was written; silence after it does not count as starved."""

    def check(self) -> None:
        """Raise `OutputError` if sound cannot be delivered any more. Called every `CHECK_SECONDS` until `finish`."""

    def finish(self) -> None:
        """Deliver what was written, after the last chunk. Returns when it is delivered."""

    def play_out(self) -> None:
        """Play what was written to its end, after an error. A file stays incomplete."""

    def interrupt(self) -> None:
        """Fall silent, and end every wait. A file contains the sound that was written so far."""

    def close(self) -> None:
        """Release everything. A file that was neither finished nor interrupted is removed."""

    def status(self) -> SinkStatus:
        """How delivery stands."""
        return SinkStatus()


def cannot_write(where: str, error: OSError) -> TTSError:
    """The error for an output that cannot be written, with its remedy."""
    remedy = "free some space or choose another place" if is_full(error) else "choose another place"
    return cannot("write", where, error, remedy, OutputError)


class NullSink(Sink):
    """Takes sound and drops it, for measuring."""


class BothSinks(Sink):
    """Writes the same sound to two sinks.

    Parameters
    ----------
    file
        A sink that does not play.
    speaker
        A sink that plays, and that `pause`, `resume` and `skip` apply to.
    """

    def __init__(self, file: Sink, speaker: Sink) -> None:
        self._file = file
        self._speaker = speaker

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Write to the file, then to the speaker, which may wait for room."""
        self._file.write(chunk, needed)
        self._speaker.write(chunk, needed)

    def pause(self) -> bool:
        """Pause the speaker; the file goes on."""
        return self._speaker.pause()

    def resume(self) -> None:
        """Resume the speaker."""
        self._speaker.resume()

    def skip(self, by: int) -> int | None:
        """Skip in the speaker. Sound that is skipped before it is computed is missing in the file."""
        return self._speaker.skip(by)

    def seek(self, place: Heard) -> bool:
        """Seek in the speaker."""
        return self._speaker.seek(place)

    def adjust(self, speed: float, decibels: float) -> bool:
        """Adjust the speaker; the file stays as it is."""
        return self._speaker.adjust(speed, decibels)

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
        """Complete the file first, because the speaker plays to the end."""
        self._file.finish()
        self._speaker.finish()

    def interrupt(self) -> None:
        """Interrupt the speaker first, because it is heard."""
        self._speaker.interrupt()
        self._file.interrupt()

    def close(self) -> None:
        """Close both, even if the first fails."""
        try:
            self._file.close()
        finally:
            self._speaker.close()

    def status(self) -> SinkStatus:
        """The status of the speaker, with `delivered` of the file."""
        return replace(self._speaker.status(), delivered=self._file.status().delivered)
