"""It is speech: a recogniser writes down what was said."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest
import soxr

from tts_cli import stream
from tts_cli.audio import Samples, to_pcm16

pytestmark = pytest.mark.slow

SENTENCES = (
    "The weather is nice today and we want to go for a walk.",
    "Please open the window and let some fresh air in.",
    "She bought two apples and a loaf of bread this morning.",
    "My brother works in a small town near the sea.",
    "The train to the city leaves in ten minutes.",
    "We had dinner with our friends last night.",
    "Can you tell me how to get to the station?",
    "He reads the paper every day before he goes to work.",
    "The children are playing in the garden behind the house.",
    "I will call you tomorrow when I know more about it.",
)


def words(text: str) -> list[str]:
    return re.sub(r"\(\d+\)", "", text.lower().replace("?", "").replace(".", "")).split()


def errors(said: list[str], heard: list[str]) -> int:
    """The least number of words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def sound_of(text: str, mode: Literal["streaming", "simple"]) -> Samples:
    return np.concatenate([chunk.samples for chunk in stream(text, engine="builtin", mode=mode)])


def test_ten_everyday_sentences_are_understood() -> None:
    """As one text: the recogniser misses every third first word of a sound that has no silence in front of it."""
    pocketsphinx = pytest.importorskip("pocketsphinx", reason="it has no wheel for this Python")
    text = " ".join(SENTENCES)
    sound = sound_of(text, "streaming")
    recogniser = pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL")
    recogniser.start_utt()
    recogniser.process_raw(to_pcm16(soxr.resample(sound, 24_000, 16_000)).tobytes(), full_utt=True)
    recogniser.end_utt()
    hypothesis = recogniser.hyp()
    assert errors(words(text), words(hypothesis.hypstr if hypothesis else "")) <= 0.10 * len(words(text))


def test_ten_everyday_sentences_sound_the_same_when_they_are_computed_before_they_play() -> None:
    text = " ".join(SENTENCES)
    np.testing.assert_array_equal(sound_of(text, "simple"), sound_of(text, "streaming"))
