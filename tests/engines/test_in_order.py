"""Segments one after the other, with or without the next one computed ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tests.given import Given
from tests.harness import PATIENCE
from tts_cli.audio import AudioChunk
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.engines.builtin.engine import BuiltinEngine
from tts_cli.engines.in_order import ROOM, in_order
from tts_cli.segment import Segment


class Computed:
    """Counts the chunks that were computed of each segment; a segment has five."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]
        self.second = threading.Event()

    def speak(self, segment: Segment) -> Iterator[AudioChunk]:
        for _ in range(5):
            self.counts[segment.number] += 1
            if segment.number == 1 and self.counts[1] == ROOM + 1:
                self.second.set()
            yield AudioChunk(np.ones(10, np.float32), 24_000, segment)


def test_the_next_segment_is_computed_while_the_present_one_is_given() -> None:
    computed = Computed()
    chunks = in_order(Given("One.", "Two.", "Three."), computed.speak, ahead=True)
    next(chunks)
    assert computed.second.wait(PATIENCE)
    assert computed.counts == [1, ROOM + 1, 0]
    assert [chunk.segment.number for chunk in chunks] == [0] * 4 + [1] * 5 + [2] * 5


def test_otherwise_nothing_is_computed_that_was_not_asked_for() -> None:
    computed = Computed()
    chunks = in_order(Given("One.", "Two.", "Three."), computed.speak)
    for _ in range(5):
        next(chunks)
    assert computed.counts == [5, 0, 0]
    next(chunks)
    assert computed.counts == [5, 1, 0]


def test_who_leaves_ends_what_runs_ahead() -> None:
    computed = Computed()
    chunks = in_order(Given("One.", "Two.", "Three."), computed.speak, ahead=True)
    next(chunks)
    assert computed.second.wait(PATIENCE)
    chunks.close()
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


def test_the_built_in_voice_computes_a_sentence_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, begun = BuiltinEngine(EngineSettings()), threading.Event()
    pronounce = engine.phonemes

    def noted(text: str) -> str:
        if text == "It pours.":
            begun.set()
        return pronounce(text)

    monkeypatch.setattr(engine, "phonemes", noted)
    chunks = engine.stream(Given("It rains.", "It pours."), "heart", SpeakOptions())
    assert next(chunks).segment.text == "It rains."
    assert begun.wait(PATIENCE)
    chunks.close()
