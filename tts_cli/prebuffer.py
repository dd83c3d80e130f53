"""How much sound to gather before playing it, so that it plays without a gap.

The rule. Let `r` be the marginal RTF (compute time over sound time, without the first chunk once there are more), taken
10 % worse than measured, `c` the seconds of sound in a chunk, and `R` the seconds of sound still to come from the text
that is known. Then playing may start with

    0.12 s + r·c + max(0, r − 1)·R      seconds in the buffer.

The first term absorbs the scheduler's jitter; the second lasts until the next chunk is here; the third is what an engine
slower than real time falls behind until its last chunk. `R` is what is left of the text's characters at the pace heard so
far. Where the text is complete, playing starts at once with what there is. The rule is asked again after a starvation.
"""

from __future__ import annotations

from typing import Final

JITTER: Final = 0.12
CAUTION: Final = 1.1
SECONDS_PER_CHARACTER: Final = 0.07
"""The pace of speech assumed until some has been heard."""


def seconds_needed(rtf: float, chunk: float, remaining: float) -> float:
    """Seconds of sound to gather: `rtf` as measured, `chunk` and `remaining` in seconds of sound."""
    rtf *= CAUTION
    return JITTER + rtf * chunk + max(0.0, rtf - 1.0) * remaining


class Forecast:
    """Foresees, chunk by chunk, how much sound must be gathered."""

    def __init__(self) -> None:
        self._characters = 0
        self._heard = 0.0
        self._text = 0
        self._spoken = 0.0
        self._first: tuple[float, float] | None = None

    def text_began(self, characters: int) -> None:
        """The engine starts on a text of so many characters; the one before it is complete."""
        self._characters += self._text
        self._heard += self._spoken
        self._text, self._spoken = characters, 0.0

    def needed(self, computed: float, sound: float, chunk: float, waiting: int) -> float:
        """Seconds to gather, after a chunk of `chunk` seconds.

        `computed` and `sound` are the run's compute and sound seconds so far, `waiting` the characters known behind
        this text.
        """
        self._spoken += chunk
        if self._first is None:
            self._first = computed, sound
        rtf = computed / sound if sound else 0.0
        if sound > self._first[1]:
            rtf = (computed - self._first[0]) / (sound - self._first[1])
        pace = self._heard / self._characters if self._characters else SECONDS_PER_CHARACTER
        remaining = max(0.0, self._text * pace - self._spoken) + waiting * pace
        return seconds_needed(rtf, chunk, remaining)
