"""Sentences and words are placed where they sound: exactly where that is known, and marked where it is not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tts_cli.audio import Samples, SpokenWord, as_samples
from tts_cli.segment import Segment, Sentence
from tts_cli.subtitles.placing import place
from tts_cli.subtitles.speech_activity import SpeechActivity

RATE = 24_000


def sound(*parts: float) -> SpeechActivity:
    """Tones of so many seconds, with silences of so many between them, in chunks of an odd length."""
    pieces: list[Samples] = []
    for number, seconds in enumerate(parts):
        level = 0.0 if number % 2 else 0.3
        pieces.append(as_samples(level * np.sin(np.arange(round(seconds * RATE)) / 10)))
    samples = np.concatenate(pieces)
    made = SpeechActivity(RATE)
    for start in range(0, len(samples), 777):
        made.add(samples[start : start + 777])
    return made


def segment(*texts: str) -> Segment:
    made = Segment.of(texts[0])
    for text in texts[1:]:
        made = made.joined(Sentence(text))
    return made


def test_a_segment_of_one_sentence_begins_and_ends_with_its_sound() -> None:
    padded = SpeechActivity(RATE)
    padded.add(np.zeros(2401, np.float32))
    padded.add(np.full(4800, 0.3, np.float32))
    padded.add(np.zeros(4801, np.float32))
    (cue,) = place(segment("It rains."), padded, begin=10.0)
    assert (cue.start, cue.end, cue.placed) == (10 + 2401 / RATE, 10 + 7201 / RATE, "exact")


def test_sentences_are_parted_at_the_pauses_where_their_lengths_suggest_it() -> None:
    spoken = sound(0.8, 0.1, 1.0, 0.3, 1.0, 0.12, 0.4, 0.4, 1.6)
    first, second, third = place(
        segment("In winter, when it snows.", "We go home, all of us.", "Nobody stays outside."), spoken
    )
    assert [cue.placed for cue in (first, second, third)] == ["pause"] * 3
    assert (first.end, second.start) == pytest.approx((1.9, 2.2), abs=0.011)
    assert (second.end, third.start) == pytest.approx((3.72, 4.12), abs=0.011)


def test_without_a_pause_the_place_is_estimated_and_marked() -> None:
    first, second = place(segment("Ten letters.", "Ten letters."), sound(2.0))
    assert (first.placed, second.placed) == ("pause", "estimate")
    assert first.end == second.start == pytest.approx(1.0, abs=0.1)


def test_a_silence_as_short_as_a_plosive_is_no_pause() -> None:
    assert sound(1.0, 0.05, 1.0).pauses() == []
    assert sound(1.0, 0.07, 1.0).pauses() == [(100, 107)]


def test_sound_that_is_silent_has_no_cue_and_a_tiny_one_has() -> None:
    silent, tiny = SpeechActivity(RATE), SpeechActivity(RATE)
    silent.add(np.zeros(5000, np.float32))
    tiny.add(np.ones(3, np.float32))
    assert place(segment("It rains."), silent) == []
    assert [cue.text for cue in place(segment("It rains."), tiny)] == ["It rains."]


def test_known_words_are_where_the_engine_says_and_the_others_between_them() -> None:
    known = (SpokenWord(0, 2, 0.0, 0.2), SpokenWord(11, 17, 1.2, 2.0))
    (cue,) = place(segment("It costs 5 euros."), sound(2.0), known)
    assert [word.known for word in cue.words] == [True, False, False, True]
    starts = [word.start for word in cue.words]
    assert starts == sorted(starts)
    assert (cue.words[1].start, cue.words[2].end) == pytest.approx((0.2, 1.2))


def test_estimated_words_leave_out_pauses_and_do_not_overlap() -> None:
    (cue,) = place(segment("Well, I never."), sound(0.6, 0.5, 0.9))
    well, i, never = cue.words
    assert (well.start, well.end) == pytest.approx((0.0, 0.58), abs=0.02)
    assert i.end >= 1.1
    assert never.end == cue.end
    assert all(one.end <= other.start + 1e-9 for one, other in pairwise(cue.words))


def test_of_sound_that_is_not_complete_only_what_has_begun_is_placed() -> None:
    text = segment("This is the first sentence here.", "And this is the second one.")
    cues = place(text, sound(1.0), complete=False)
    assert [cue.text for cue in cues] == ["This is the first sentence here."]
    assert [word.text for word in cues[0].words] == ["This", "is", "the", "first"]
    assert len(place(text, sound(3.0), complete=False)) == 2
