"""A machine on which T3 has a core and S3Gen another, with a clock that the simulation sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tts_cli.engines.chatterbox.schedule.policy import Listener, Standing
from tts_cli.engines.chatterbox.schedule.sizes import chunk_sizes
from tts_cli.metrics import Snapshot
from tts_cli.playback.prebuffer import SECONDS_PER_CHARACTER, Forecast

Rule = Callable[[list[Standing], Listener], list[int]]
TOKEN = 0.04
STEP = {0: 0.01, 1: 0.042, 2: 0.06, 3: 0.07, 4: 0.082}
"""Seconds of a step of T3 with so many rows, and of waiting where there are none."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _characters(seconds: float) -> int:
    return round(seconds / SECONDS_PER_CHARACTER)


def decoding(tokens: int) -> float:
    """Seconds in which S3Gen decodes a chunk."""
    return 0.14 + 0.0225 * tokens


@dataclass
class Heard:
    """How a text was heard."""

    begins: float
    """When playing began: as the pre-buffer says."""
    starved: float
    """For how long there was then no sound."""
    could_begin: float
    """When playing without a gap could have begun."""
    ends: float
    """When all was computed."""


class _Text:
    """What is drawn and decoded of each segment."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths
        self.drawn, self.decoded = [0] * len(lengths), [0] * len(lengths)
        self.heard = 0
        self._sizes = self._sizes_of_chunks()

    @property
    def rows(self) -> list[Standing]:
        """The segment that is heard and three after it."""
        near = range(self.heard, min(self.heard + 4, len(self.lengths)))
        return [Standing(self.drawn[i] - self.decoded[i], ended=self.drawn[i] == self.lengths[i]) for i in near]

    @property
    def half_computed(self) -> float:
        return sum(row.waiting for row in self.rows) * TOKEN

    def draw(self, rows: Sequence[int]) -> None:
        for row in rows:
            self.drawn[self.heard + row] += 1

    def next_chunk(self) -> int:
        """Tokens of the next chunk, or 0 if they are not drawn."""
        size = min(self._sizes[0], self.lengths[self.heard] - self.decoded[self.heard])
        return size if self.drawn[self.heard] - self.decoded[self.heard] >= size else 0

    def decode(self, tokens: int) -> None:
        self.decoded[self.heard] += tokens
        self._sizes.pop(0)
        if self.decoded[self.heard] == self.lengths[self.heard]:
            self.heard += 1
            self._sizes = self._sizes_of_chunks()

    @property
    def ended(self) -> bool:
        return self.heard == len(self.lengths)

    def _sizes_of_chunks(self) -> list[int]:
        sizes: Iterator[int] = chunk_sizes(None, True, self.heard == 0)
        return [next(sizes) for _ in range(200)]


def spoken(lengths: Sequence[int], rule: Rule, slower: float = 1.0) -> Heard:
    """Speak segments of `lengths` tokens on a machine that takes `slower` times as long for everything."""
    clock, text, forecast = Clock(), _Text(lengths), Forecast()
    listener = Listener(clock)
    total = sum(lengths) * TOKEN
    sound = could_begin = starved = ready = 0.0
    begins = empty = None
    chunk, first_segment = 0, lengths[0]
    while not text.ended:
        rows = rule(text.rows, listener) if listener.begun or text.drawn[0] < first_segment else []
        clock.now += STEP[len(rows)] * slower
        text.draw(rows)
        if chunk and ready <= clock.now:
            seconds = chunk * TOKEN
            could_begin = max(could_begin, ready - sound)
            sound += seconds
            listener.given(seconds)
            run = Snapshot(computed=ready, sound=sound, half_computed=text.half_computed - seconds)
            begun = sum(lengths[: text.heard + 1]) * TOKEN
            needed = forecast.needed(run, seconds, _characters(begun), _characters(total - begun))
            text.decode(chunk)
            if empty is not None:
                starved += max(0.0, ready - empty)
                empty = max(ready, empty) + seconds
            elif sound >= min(needed, 30) or text.ended:
                begins, empty = ready, ready + sound
            chunk = 0
        if not chunk and not text.ended and (chunk := text.next_chunk()):
            ready = max(clock.now, ready) + decoding(chunk) * slower
    assert begins is not None
    return Heard(begins, starved, could_begin, ready)
