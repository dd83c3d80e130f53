"""How much sound to gather before playing starts, so that it plays without a gap.

Playing may start when the ring holds

    0.12 s + r·c + max(0, (r − 1)·P, r·(N − h/2) − N, (q − 1)·R)

- `r` is the RTF measured so far. The first chunk is left out once there are more. Two more chunks are left out once
  there is 1 s of sound after them.
- `c` is the length of a chunk, in seconds of sound.
- `P` is the seconds of sound still to come of the present segment.
- `N` is the seconds of sound still to come from the text that is known, 16 at most. For `h` of these, half of the work
  is done.
- `q` is the RTF of all work so far. It differs from `r` where the engine prepares the next segments beside the one that
  is heard: sound for which half of the work is done counts half.
- `R` is the seconds of sound still to come from the text that is known, 60 at most.

`r` and `q` are multiplied by 1.1. `P`, `N` and `R` are estimated from the characters. The first term absorbs the
scheduler's jitter. The second lasts until the next chunk is computed. The third is the time that an engine slower than
real time loses until the end of the segment, in the next seconds, or until its last chunk, whichever is most. What
comes after the next minute is not forecast: in a long text, 10 % of caution would make the listener wait for time that
is not lost. Several chunks are left out because an engine may do work after the first that makes all others faster. The
rule is this project's own; docs/playback.md says when playing starts without it.
"""

from __future__ import annotations

from typing import Final

from tts_cli.metrics import Snapshot

JITTER: Final = 0.12
CAUTION: Final = 1.1
LEFT_OUT: Final = 3
"""How many chunks the RTF leaves out."""
ENOUGH: Final = 1.0
"""Seconds of sound after a chunk from which the RTF leaves it out. The first is left out in any case."""
NEXT: Final = 16.0
"""Seconds of sound to come in which an engine may stay as slow as it was. About the length of a segment."""
HORIZON: Final = 60.0
"""Seconds of sound to come that are forecast. The ring holds as much."""
SECONDS_PER_CHARACTER: Final = 0.07
"""The pace of speech that is assumed until a segment has been spoken."""


class Forecast:
    """Estimates, chunk by chunk, how much sound one run must gather."""

    def __init__(self) -> None:
        self._first: list[Snapshot] = []
        """The measurements after each of the first chunks."""
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
            `JITTER` at least.

        Examples
        --------
        >>> run = Snapshot(computed=0.8, sound=0.4)
        >>> round(Forecast().needed(run, chunk=0.4, begun=20, waiting=0), 2)
        2.2
        """
        if len(self._first) < LEFT_OUT:
            self._first.append(run)
        if begun != self._characters:  # a new segment: those before it are complete and give the pace
            self._complete = self._characters, run.sound - chunk
            self._characters = begun

        first, *others = self._first
        once = next((each for each in reversed(others) if run.sound - each.sound >= ENOUGH), first)
        left_out = once if run.sound > once.sound else Snapshot()
        computed, gained = CAUTION * (run.computed - left_out.computed), run.sound - left_out.sound
        done = gained + max(0.0, run.half_computed - left_out.half_computed) / 2
        characters, sound = self._complete
        pace = sound / characters if characters else SECONDS_PER_CHARACTER
        present = max(0.0, (begun - characters) * pace - (run.sound - sound))
        remaining = min(present + waiting * pace, HORIZON)
        rtf, rtf_of_all = (computed / gained, computed / done) if gained else (0.0, 0.0)
        near = min(remaining, NEXT)
        prepared = min(run.half_computed, near) / 2
        lost = (rtf - 1) * present, rtf * (near - prepared) - near, (rtf_of_all - 1) * remaining
        return JITTER + rtf * chunk + max(0.0, *lost)
