"""Places the sentences and words of a segment in its sound."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tts_cli.audio import SpokenWord
from tts_cli.playback.prebuffer import SECONDS_PER_CHARACTER
from tts_cli.segment import Segment
from tts_cli.subtitles.speech_activity import STEPS_PER_SECOND, SpeechActivity

Placed = Literal["exact", "pause", "estimate"]
"""How the time of a sentence is known.

- `exact`: the segment is this sentence, so the sentence begins and ends with the segment's sound.
- `pause`: it begins after a pause that lies where the lengths of the sentences suggest.
- `estimate`: no such pause was found; it is placed by the lengths of the sentences."""

LONG_PAUSE: Final = 0.5
"""Seconds. A pause between two sentences that is shorter than this costs more, the shorter it is."""
SHORT_PAUSE_COST: Final = 1.5
NO_PAUSE_COST: Final = 4.0
DEVIATION: Final = 0.2
"""The usual distance from the end of a sentence to the place that its length in characters suggests, over the mean
length of a sentence."""

Steps: TypeAlias = npt.NDArray[np.float64]
"""`[steps + 1]`: how many steps of 10 ms are speech before each step."""

_WORD = re.compile(r"\S+")
_SPOKEN = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word with its time, in seconds. `known` is whether the engine gave the time; otherwise it is an estimate."""

    text: str
    start: float
    end: float
    known: bool
    at: int
    """Its first character in the text of the segment."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A sentence with its time, in seconds from the beginning of the sound."""

    text: str
    start: float
    end: float
    placed: Placed
    words: tuple[CueWord, ...]


def place(
    segment: Segment,
    sound: SpeechActivity,
    words: Sequence[SpokenWord] = (),
    begin: float = 0.0,
    complete: bool = True,
) -> list[Cue]:
    """The sentences of a segment, and their words, with their times.

    Parameters
    ----------
    segment
        The text.
    sound
        Its sound, as far as it is computed.
    words
        The words whose times the engine knows, in seconds from the beginning of the segment's sound.
    begin
        Seconds of sound before the segment.
    complete
        Whether this is all its sound. If not, the length of the whole is estimated from its text.

    Returns
    -------
    list of Cue
        Without sentences and words whose sound has not begun. Empty if nothing is audible.

    Examples
    --------
    >>> sound = SpeechActivity(24_000)
    >>> sound.add(np.ones(24_000, np.float32))
    >>> [(cue.text, cue.start, cue.end, cue.placed) for cue in place(Segment.of("It rains."), sound)]
    [('It rains.', 0.0, 1.0, 'exact')]
    """
    if sound.first is None or sound.last is None:
        return []
    text = segment.text
    steps = np.concatenate([[0], np.cumsum(sound.speech())]).astype(np.float64)
    total = float(steps[-1])
    if not complete:
        total = max(total, len(text) * SECONDS_PER_CHARACTER * STEPS_PER_SECOND)
    weights = [_weight(text[start:stop]) for start, stop in segment.spans]
    ends = [float(end) * total / sum(weights) for end in np.cumsum(weights)]
    begun = 1 + sum(end < steps[-1] for end in ends[:-1])
    cues: list[Cue] = []
    for number, (first, last, placed) in enumerate(_sentence_times(ends[:begun], sound, steps)):
        start, stop = segment.spans[number]
        goes_on = ends[number] if number == begun - 1 and not complete else None
        found = _words(text, segment.spans[number], (first, last), words, steps, goes_on)
        moved = tuple(replace(word, start=begin + word.start, end=begin + word.end) for word in found)
        exact: Placed = "exact" if len(weights) == 1 else placed
        cues.append(Cue(text[start:stop], begin + first, begin + last, exact, moved))
    return cues


def _sentence_times(ends: list[float], sound: SpeechActivity, steps: Steps) -> Iterator[tuple[float, float, Placed]]:
    """When each sentence begins and ends, in seconds, and how its beginning is known."""
    assert sound.first is not None
    assert sound.last is not None
    begin, last = sound.first / sound.rate, sound.last / sound.rate
    placed: Placed = "pause"
    for end, pause in zip(ends, _best_pauses(ends[:-1], sound, steps), strict=False):
        between = float(np.searchsorted(steps, end)) / STEPS_PER_SECOND
        stop, start = pause or (between, between)
        yield begin, max(begin, min(stop, last)), placed
        begin, placed = max(begin, min(start, last)), "estimate" if pause is None else "pause"
    yield begin, last, placed


def _best_pauses(ends: list[float], sound: SpeechActivity, steps: Steps) -> list[tuple[float, float] | None]:
    """The pause at each of `ends`, which are in steps of speech, in seconds; None where there is none that fits.

    Dynamic programming over the pauses in order: a pause costs its distance from where it is expected, and more if it
    is short.
    """
    pauses = sound.pauses()
    if not ends:
        return []
    spread = max(10.0, DEVIATION * ends[-1] / len(ends))
    best: list[tuple[float, tuple[int | None, ...]]] = [(0.0, ())] * (len(pauses) + 1)
    for end in ends:
        # best[n]: the cheapest way in which only the first n pauses are used.
        following: list[tuple[float, tuple[int | None, ...]]] = [(best[0][0] + NO_PAUSE_COST, (*best[0][1], None))]
        for number, (start, stop) in enumerate(pauses):
            short = max(0.0, 1 - (stop - start) / STEPS_PER_SECOND / LONG_PAUSE)
            cost = ((float(steps[start]) - end) / spread) ** 2 + SHORT_PAUSE_COST * short
            following.append(
                min(
                    following[-1],
                    (best[number + 1][0] + NO_PAUSE_COST, (*best[number + 1][1], None)),
                    (best[number][0] + cost, (*best[number][1], number)),
                    key=lambda way: way[0],
                )
            )
        best = following
    return [
        None if number is None else (pauses[number][0] / STEPS_PER_SECOND, pauses[number][1] / STEPS_PER_SECOND)
        for number in best[-1][1]
    ]


def _words(
    text: str,
    span: tuple[int, int],
    time: tuple[float, float],
    known: Sequence[SpokenWord],
    steps: Steps,
    goes_on: float | None,
) -> Iterator[CueWord]:
    """The words of a sentence. Between those that the engine knows, the others share the speech by their lengths.

    With `goes_on`, the sound of the sentence is not complete: it is expected to end at this step of speech.
    """
    places = {word.start: word for word in known}
    at, end = time
    waiting: list[re.Match[str]] = []
    for match in _WORD.finditer(text, *span):
        word = places.get(match.start())
        if word is None:
            if _SPOKEN.search(match[0]):
                waiting.append(match)
            continue
        begin = max(at, min(word.begin, end))
        yield from _shared(waiting, at, begin, steps)
        waiting = []
        if goes_on is not None and word.begin >= end:
            return
        at = max(begin, min(word.end, end))
        yield CueWord(match[0], begin, at, known=True, at=match.start())
    yield from _shared(waiting, at, end, steps, goes_on)


def _shared(
    matches: list[re.Match[str]], begin: float, end: float, steps: Steps, goes_on: float | None = None
) -> Iterator[CueWord]:
    """Words between two times, each with a part of the speech there. With `goes_on`, those that have begun."""
    weights = [_weight(match[0]) for match in matches]
    low, high = (float(np.interp(second * STEPS_PER_SECOND, range(len(steps)), steps)) for second in (begin, end))
    length = (high if goes_on is None else max(high, goes_on)) - low
    done = 0
    for match, weight in zip(matches, weights, strict=True):
        start = low + length * done / sum(weights)
        done += weight
        stop = low + length * done / sum(weights)
        if goes_on is not None and start >= high > low:
            return
        after, before = int(np.searchsorted(steps, start, "right")) - 1, int(np.searchsorted(steps, stop))
        before = min(before, len(steps) - 1)
        # After a pause at its start, and before a pause at its end.
        heard = (after + start - steps[after], before + min(0.0, stop - steps[before]))
        first, last = (min(max(float(place) / STEPS_PER_SECOND, begin), end) for place in heard)
        yield CueWord(match[0], first, max(first, last), known=False, at=match.start())


def _weight(text: str) -> int:
    """About how long it takes to say `text`: letters count 1, digits 4, and each word 1 more."""
    return 1 + sum(4 if char.isdigit() else char.isalnum() or char.isspace() for char in text)
