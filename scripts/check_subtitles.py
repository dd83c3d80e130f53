"""Compare the subtitles of the built-in voice with the times at which a recogniser hears the words.

PocketSphinx is told the words of twenty sentences and finds where they are in the sound. Where several sentences are
spoken as one segment, the places that are found by pauses are compared as well. Needs pocketsphinx and soxr:

    python scripts/check_subtitles.py
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, replace

import numpy as np
import soxr

import tts_cli
from tts_cli.audio import Samples, SpokenWord, to_pcm16
from tts_cli.segment import Segment, Sentence
from tts_cli.subtitles.placing import Cue, place
from tts_cli.subtitles.speech_activity import SpeechActivity

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
    "There is a small cafe on the corner of the street.",
    "They moved to the country when their son was born.",
    "Nobody knew why the old man had left the village.",
    "If it rains, we can stay at home and read a book.",
    "Her sister plays the piano, and her father sings.",
    "You should try the soup before it gets cold.",
    "Last summer we spent two weeks in the mountains.",
    "The shop on the other side opens at nine.",
    "What do you think about the new teacher?",
    "It was late, but the lights in the office were still on.",
)


@dataclass(frozen=True)
class Errors:
    """By how many seconds subtitles differ from the recogniser's times."""

    starts: list[float]
    words: list[float]

    def __str__(self) -> str:
        return "   ".join(
            f"{name}: median {1000 * statistics.median(map(abs, errors)):.0f} ms, "
            f"largest {1000 * max(map(abs, errors)):.0f} ms"
            for name, errors in (("sentence starts", self.starts), ("words", self.words))
        )


def spoken(session: tts_cli.Session, sentence: str) -> tuple[Samples, tuple[SpokenWord, ...]]:
    """The sound of a sentence, and its words with times from the beginning of this sound."""
    at, words, parts = 0.0, [], []
    for chunk in session.stream(sentence):
        words += [replace(word, begin=at + word.begin, end=at + word.end) for word in chunk.words]
        parts.append(chunk.samples)
        at += chunk.seconds
    return np.concatenate(parts), tuple(words)


def cues_of(segment: Segment, samples: Samples, words: tuple[SpokenWord, ...], begin: float) -> list[Cue]:
    sound = SpeechActivity(24_000)
    sound.add(samples)
    return place(segment, sound, words, begin)


def recognised(samples: Samples, text: str) -> list[float]:
    """When each word of `text` begins in the sound."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.set_align_text(text)
    decoder.start_utt()
    decoder.process_raw(to_pcm16(soxr.resample(samples, 24_000, 16_000)).tobytes(), full_utt=True)
    decoder.end_utt()
    return [part.start_frame / 100 for part in decoder.seg() if re.fullmatch(r"[a-z'()\d]+", part.word)]


def errors(cues: list[Cue], heard: list[float]) -> Errors:
    words = [word for cue in cues for word in cue.words]
    assert len(words) == len(heard), "the recogniser has found another number of words"
    found = dict(zip((id(word) for word in words), heard, strict=True))
    return Errors(
        [cue.start - found[id(cue.words[0])] for cue in cues],
        [word.start - found[id(word)] for word in words],
    )


def measured(session: tts_cli.Session, sentences: tuple[str, ...], together: int) -> tuple[Errors, Errors]:
    """The errors with a segment for each sentence, and with `together` sentences in each segment."""
    takes = [spoken(session, sentence) for sentence in sentences]
    heard = recognised(
        np.concatenate([samples for samples, _ in takes]),
        " ".join(re.sub(r"[^a-z' ]", "", s.lower()) for s in sentences),
    )
    alone: list[Cue] = []
    grouped: list[Cue] = []
    begin = 0.0
    for first in range(0, len(sentences), together):
        group, group_begin = takes[first : first + together], begin
        for sentence, (samples, words) in zip(sentences[first:], group, strict=False):
            alone += cues_of(Segment.of(sentence), samples, words, begin)
            begin += len(samples) / 24_000
        segment = Segment(0, tuple(Sentence(sentence) for sentence in sentences[first : first + together]))
        grouped += cues_of(segment, np.concatenate([samples for samples, _ in group]), (), group_begin)
    return errors(alone, heard), errors(grouped, heard)


def main() -> None:
    with tts_cli.load("builtin") as session:
        alone, grouped = measured(session, SENTENCES, together=4)
    print(f"a sentence in each segment, words from the model    {alone}")
    print(f"four sentences in each segment, words estimated     {grouped}")


if __name__ == "__main__":
    main()
