"""Where the sound of a segment is speech, and where it pauses."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tts_cli.audio import AUDIBLE, Samples

STEPS_PER_SECOND: Final = 100
PAUSE_SECONDS: Final = 0.06
"""The shortest silence that counts as a pause. The closure of a plosive such as p lasts about so long."""
BELOW_SPEECH: Final = 35.0
"""How many dB below the louder speech of a segment its pauses are."""


class SpeechActivity:
    """The loudness of a segment's sound, added chunk by chunk, in steps of 10 ms. It does not store the samples.

    Parameters
    ----------
    rate
        Samples a second.

    Attributes
    ----------
    samples : int
        How many samples were added.
    first, last : int or None
        The first audible sample, and the one after the last; None if there is none.

    Examples
    --------
    >>> sound = SpeechActivity(24_000)
    >>> sound.add(np.concatenate([np.ones(2400), np.zeros(2400), np.ones(2400)]).astype(np.float32))
    >>> sound.pauses()
    [(10, 20)]
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.samples = 0
        self.first: int | None = None
        self.last: int | None = None
        self._step = rate // STEPS_PER_SECOND
        self._rest = np.zeros(0, np.float32)
        self._powers: list[float] = []

    def add(self, samples: Samples) -> None:
        """Add the samples `[n]` of the next chunk."""
        audible = np.flatnonzero(np.abs(samples) >= AUDIBLE)
        if len(audible):
            self.first = self.samples + int(audible[0]) if self.first is None else self.first
            self.last = self.samples + int(audible[-1]) + 1
        self.samples += len(samples)
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // self._step * self._step
        self._powers += np.square(waiting[:whole]).reshape(-1, self._step).mean(axis=1).tolist()
        self._rest = waiting[whole:]

    @property
    def seconds(self) -> float:
        """How long the sound is."""
        return self.samples / self.rate

    def speech(self) -> npt.NDArray[np.bool_]:
        """For each step of 10 ms from the first to the last audible sample, whether it is no pause `[steps]`.

        The steps before the first audible sample are no speech, either.
        """
        powers = np.asarray(self._powers[: -(-(self.last or 0) // self._step)])
        if not len(powers):
            return np.zeros(0, np.bool_)
        first = min((self.first or 0) // self._step, len(powers) - 1)
        loud = np.percentile(powers[first:], 90)
        speech: npt.NDArray[np.bool_] = powers >= max(loud * 10 ** (-BELOW_SPEECH / 10), AUDIBLE**2 / 2)
        speech[:first] = False
        speech[first] = speech[-1] = True
        for begin, end in _runs(~speech[first:]):
            if end - begin < PAUSE_SECONDS * STEPS_PER_SECOND:
                speech[first + begin : first + end] = True
        return speech

    def pauses(self) -> list[tuple[int, int]]:
        """The pauses between the first and the last audible sample, in steps of 10 ms, each without its end."""
        speech = self.speech()
        begin = int(speech.argmax()) if len(speech) else 0
        return [(begin + start, begin + end) for start, end in _runs(~speech[begin:])]


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `flags` is true without a break: the first place, and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
