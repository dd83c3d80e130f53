"""How much sound to gather before playing starts, so that it plays without a gap.

Playing may start when the ring holds

    0.12 s + r·c + max(0, r − 1)·R

- `r` is the RTF measured so far, taken 10 % worse. The first chunk is left out once there are more.
- `c` is the length of a chunk, in seconds of sound.
- `R` is the seconds of sound still to come from the text that is known, estimated from its characters.

The first term absorbs the scheduler's jitter. The second lasts until the next chunk is computed. The third is the time
that an engine slower than real time loses until its last chunk. The rule is this project's own; docs/playback.md says
when playing starts without it.
"""

from __future__ import annotations

from typing import Final

from tts_cli.metrics import Snapshot

JITTER: Final = 0.12
CAUTION: Final = 1.1
SECONDS_PER_CHARACTER: Final = 0.07
"""The pace of speech that is assumed until a segment has been spoken."""


def seconds_needed(rtf: float, chunk: float, remaining: float) -> float:
    """Seconds of sound to gather.

    Parameters
    ----------
    rtf
        Compute time over sound time, as measured.
    chunk
        Seconds of sound in a chunk.
    remaining
        Seconds of sound still to come from the text that is known.

    Returns
    -------
    float
        `JITTER` at least.

    Examples
    --------
    >>> round(seconds_needed(rtf=0.5, chunk=0.4, remaining=10), 2)
    0.34
    >>> round(seconds_needed(rtf=2, chunk=0.4, remaining=10), 2)
    13.0
    """
    rtf *= CAUTION
    return JITTER + rtf * chunk + max(0.0, rtf - 1.0) * remaining


class Forecast:
    """Estimates, chunk by chunk, how much sound one run must gather."""

    def __init__(self) -> None:
        self._first: Snapshot | None = None
        self._characters = 0
        self._complete = (0, 0.0)

    def needed(self, run: Snapshot, chunk: float, begun: int, waiting: int) -> float:
        """Seconds of sound to gather when a chunk has been computed.

        Parameters
        ----------
        run
            The measurements, in which the chunk is counted.
        chunk
            Seconds of sound in the chunk.
        begun
            Characters of all segments up to the chunk's own.
        waiting
            Characters after those, as far as the text is known.

        Returns
        -------
        float
            What `seconds_needed` returns.
        """
        if self._first is None:
            self._first = run
        if begun != self._characters:  # a new segment: those before it are complete and give the pace
            self._complete = self._characters, run.sound - chunk
            self._characters = begun

        if run.sound > self._first.sound:
            rtf = (run.computed - self._first.computed) / (run.sound - self._first.sound)
        else:
            rtf = run.rtf or 0.0
        characters, sound = self._complete
        pace = sound / characters if characters else SECONDS_PER_CHARACTER
        present = max(0.0, (begun - characters) * pace - (run.sound - sound))
        return seconds_needed(rtf, chunk, present + waiting * pace)
