"""Which text is heard, on the built-in voice, whose words have known times."""

from __future__ import annotations

import pytest

from tests.given import Given
from tts_cli.audio import AudioChunk
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.engines.builtin.engine import BuiltinEngine
from tts_cli.playback import Heard, Sink, SinkStatus
from tts_cli.segment import Segment, Sentence
from tts_cli.subtitles.following import BEFORE, FollowedSink

TEXTS = ("The harbour was quiet.", "Two children counted the crates, slowly.", "Nobody hurried.")


class Speaker(Sink):
    """Says what the test wants to be heard."""

    heard: Heard | None = None

    def seek(self, place: Heard) -> bool:
        self.heard = place
        return True

    def status(self) -> SinkStatus:
        return SinkStatus(heard=self.heard)


@pytest.fixture(scope="module")
def chunks() -> list[AudioChunk]:
    engine = BuiltinEngine(EngineSettings())
    return list(engine.stream(Given(*TEXTS), "heart", SpeakOptions()))


def followed(chunks: list[AudioChunk]) -> tuple[Speaker, FollowedSink]:
    speaker = Speaker()
    sink = FollowedSink(speaker)
    for chunk in chunks:
        sink.write(chunk, 0.0)
    return speaker, sink


def test_the_word_that_is_heard_is_the_one_that_the_voice_says(chunks: list[AudioChunk]) -> None:
    speaker, sink = followed(chunks)
    found: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for number, text in enumerate(TEXTS):
        sound = sum(chunk.seconds for chunk in chunks if chunk.segment.number == number)
        for step in range(int(sound * 50)):
            speaker.heard = Heard(number, step / 50)
            following = sink.following()
            assert following is not None
            assert following.texts == TEXTS
            assert following.present == number
            assert following.sentence == (0, len(text))
            if following.word is not None:
                word = text[slice(*following.word)]
                if not found[number] or found[number][-1] != word:
                    found[number].append(word)
    assert [" ".join(words) for words in found.values()] == list(TEXTS)


def test_sentences_of_a_segment_are_told_apart() -> None:
    engine = BuiltinEngine(EngineSettings())
    alone = [list(engine.stream(Given(text), "heart", SpeakOptions())) for text in TEXTS]
    together = Segment(0, tuple(Sentence(text) for text in TEXTS))
    speaker, sink = followed(
        [AudioChunk(chunk.samples, chunk.sample_rate, together) for chunks in alone for chunk in chunks]
    )
    sink.text_pending()
    begins = 0.0
    for text, sound in zip(TEXTS, alone, strict=True):
        speaker.heard = Heard(0, begins + 0.5)
        following = sink.following()
        assert following is not None
        assert together.text[slice(*following.sentence)] == text
        begins += sum(chunk.seconds for chunk in sound)


def test_a_sentence_is_followed_while_it_is_computed(chunks: list[AudioChunk]) -> None:
    first = [chunk for chunk in chunks if chunk.segment.number == 0]
    speaker, sink = followed(first[:2])
    speaker.heard = Heard(0, first[0].words[0].begin + 0.01)
    following = sink.following()
    assert following is not None
    assert following.word is not None
    assert TEXTS[0][slice(*following.word)] == "The"


def test_skips_go_from_sentence_to_sentence() -> None:
    engine = BuiltinEngine(EngineSettings())
    alone = [list(engine.stream(Given(text), "heart", SpeakOptions())) for text in TEXTS]
    together = [Segment(number, tuple(Sentence(text) for text in TEXTS)) for number in range(2)]
    speaker, sink = followed(
        [AudioChunk(each.samples, 24_000, segment) for segment in together for chunks in alone for each in chunks]
    )
    sink.text_pending()
    speaker.heard = Heard(0, 0.2)
    found = []
    for by in (1, 1, 1, 1, -2, -1, -9):
        assert sink.skip_sentence(by)
        following = sink.following()
        assert following is not None
        found.append((following.present, together[0].text[slice(*following.sentence)]))
    assert found == [
        (0, TEXTS[1]),
        (0, TEXTS[2]),
        (1, TEXTS[0]),
        (1, TEXTS[1]),
        (0, TEXTS[2]),
        (0, TEXTS[1]),
        (0, TEXTS[0]),
    ]
    assert not sink.skip_sentence(6), "which is not there"


def test_text_that_is_known_is_shown_before_it_has_sound(chunks: list[AudioChunk]) -> None:
    speaker, sink = followed([chunk for chunk in chunks if chunk.segment.number == 0])
    speaker.heard = Heard(0, 0.1)
    following = sink.following([Segment.of(text, number) for number, text in enumerate(TEXTS)])
    assert following is not None
    assert following.texts == TEXTS


def test_nothing_is_followed_where_nothing_is_heard(chunks: list[AudioChunk]) -> None:
    speaker, sink = followed(chunks)
    assert sink.following() is None
    speaker.heard = Heard(9, 0)
    assert sink.following() is None


def test_what_was_heard_long_ago_is_forgotten(chunks: list[AudioChunk]) -> None:
    speaker, sink = followed([])
    for number in range(2 * BEFORE):
        speaker.heard = Heard(number, 0)
        sink.write(AudioChunk(chunks[0].samples, 24_000, Segment.of("One.", number)), 0.0)
    assert len(sink._sounds) == BEFORE + 1, "also where the text is not shown"
    assert sink.following() is not None
