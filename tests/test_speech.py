"""It is speech: a recogniser writes down what was said."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soxr

from tts_cli import stream
from tts_cli.audio import to_pcm16

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


@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_ten_everyday_sentences_are_understood(mode: str) -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx", reason="it has no wheel for this Python")
    recogniser = pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL")
    wrong = total = 0
    for sentence in SENTENCES:
        sound = np.concatenate([chunk.samples for chunk in stream(sentence, engine="builtin", mode=mode)])  # type: ignore[arg-type]
        recogniser.start_utt()
        recogniser.process_raw(to_pcm16(soxr.resample(sound, 24_000, 16_000)).tobytes(), full_utt=True)
        recogniser.end_utt()
        hypothesis = recogniser.hyp()
        wrong += errors(words(sentence), words(hypothesis.hypstr if hypothesis else ""))
        total += len(words(sentence))
    assert wrong / total <= 0.10
