"""How much sound to gather before playing it, so that it plays without a gap.

The rule. Let `r` be the marginal RTF (compute time over sound time, without the first chunk once there are more), taken
10 % worse than measured, `c` the seconds of sound in a chunk, and `R` the seconds of sound still to come from the text
that is known. Then playing may start with

    0.12 s + r·c + max(0, r − 1)·R      seconds in the buffer.

The first term absorbs the scheduler's jitter; the second lasts until the next chunk is here; the third is what an
engine slower than real time falls behind until its last chunk. `R` is what is left of the text's characters at the
pace heard so far. Where the text is complete, playing starts at once with what there is. After a starvation the rule
is asked again.
"""

from __future__ import annotations

from typing import Final

from tts_cli.metrics import Snapshot

JITTER: Final = 0.12
CAUTION: Final = 1.1
SECONDS_PER_CHARACTER: Final = 0.07
"""The pace of speech assumed until some has been heard."""


def seconds_needed(rtf: float, chunk: float, remaining: float) -> float:
    """Seconds of sound to gather: `rtf` as measured, `chunk` and `remaining` in seconds of sound."""
    rtf *= CAUTION
    return JITTER + rtf * chunk + max(0.0, rtf - 1.0) * remaining


class Forecast:
    """Foresees, chunk by chunk, how much sound must be gathered in one run."""

    def __init__(self) -> None:
        self._first: Snapshot | None = None
        self._characters = 0
        self._complete = (0, 0.0)

    def needed(self, run: Snapshot, chunk: float, begun: int, waiting: int) -> float:
        """Seconds to gather, now that a chunk of `chunk` seconds is computed and counted in `run`.

        Parameters
        ----------
        begun
            Characters of the texts up to the one that the chunk belongs to.
        waiting
            Characters that are known and come after those.
        """
        if self._first is None:
            self._first = run
        if begun != self._characters:  # a new text: the ones before it are spoken, and teach the pace
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
