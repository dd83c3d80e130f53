"""Shapes chunks: what pace and what loudness are asked for, and the stages that give them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tts_cli.audio import AudioChunk, Samples, SpokenWord
from tts_cli.shaping.levelling import Levelling
from tts_cli.shaping.stretch import Stretcher
from tts_cli.shaping.volume import Volume


@dataclass(frozen=True, slots=True)
class Shape:
    """What is to be done with the sound of an engine.

    Parameters
    ----------
    speed
        How many times as fast as the engine speaks.
    volume
        How much louder, in dB.
    normalize
        Whether to bring speech to one loudness before that.
    """

    speed: float = 1.0
    volume: float = 0.0
    normalize: bool = False


AS_IT_IS = Shape()


class _Stage(Protocol):
    def add(self, samples: Samples) -> Samples: ...

    def finish(self) -> Samples: ...


class Shaper:
    """Shapes the sound of one utterance. One thread calls its methods.

    The stages that hold sound back begin anew with each segment, so every chunk has sound of one segment only.

    Parameters
    ----------
    rate
        Samples a second.
    shape
        What to do.

    Examples
    --------
    >>> from tts_cli.segment import Segment
    >>> shaper = Shaper(24_000, Shape(speed=2))
    >>> chunk = AudioChunk(np.zeros(24_000, np.float32), 24_000, Segment.of("Hello."))
    >>> sum(len(each.samples) for each in [*shaper.add(chunk), *shaper.rest()])
    12000
    """

    def __init__(self, rate: int, shape: Shape) -> None:
        self._speed = shape.speed
        self._stages: list[_Stage] = []
        if shape.speed != 1:
            self._stages.append(Stretcher(rate, shape.speed))
        if shape.normalize:
            self._stages.append(Levelling(rate))
        if shape.normalize or shape.volume:
            self._stages.append(Volume(rate, shape.volume))
        self._last: AudioChunk | None = None  # of the segment that has not ended: its last chunk that came
        self._taken = self._given = 0.0  # seconds of this segment
        self._words: list[SpokenWord] = []  # with times from the beginning of the segment; not given so far
        self._notice = ""

    def add(self, chunk: AudioChunk) -> list[AudioChunk]:
        """Take the next chunk, and give those that are complete."""
        done = [] if self._last is None or self._last.segment.number == chunk.segment.number else self.rest()
        self._last = chunk
        self._notice = self._notice or chunk.notice
        self._words += [_moved(word, self._taken, self._speed) for word in chunk.words]
        self._taken += chunk.seconds
        return done + self._chunks(self._through(chunk.samples, last=False))

    def rest(self) -> list[AudioChunk]:
        """Give what is held back of the present segment, because no more of it comes for now."""
        if self._last is None:
            return []
        done = self._chunks(self._through(np.zeros(0, np.float32), last=True))
        self._last = None
        self._taken = self._given = 0.0
        self._words, self._notice = [], ""
        return done

    def _through(self, samples: Samples, last: bool) -> Samples:
        for stage in self._stages:
            samples = stage.add(samples)
            if last:
                samples = np.concatenate([samples, stage.finish()])
        return samples

    def _chunks(self, samples: Samples) -> list[AudioChunk]:
        if not len(samples):
            return []
        assert self._last is not None
        words = tuple(_moved(word, -self._given, 1.0) for word in self._words)
        half_computed = self._last.half_computed / self._speed
        chunk = replace(self._last, samples=samples, words=words, notice=self._notice, half_computed=half_computed)
        self._words, self._notice = [], ""
        self._given += chunk.seconds
        return [chunk]


def _moved(word: SpokenWord, by: float, speed: float) -> SpokenWord:
    return replace(word, begin=(word.begin + by) / speed, end=(word.end + by) / speed)
