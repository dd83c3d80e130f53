"""Whatever the text, in whatever pieces and with whatever pauses it comes: nothing is lost, invented or parted."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.segment import Sentence
from tts_cli.text import SentenceSplitter
from tts_cli.text import split as split_whole
from tts_cli.text.pauses import Patience
from tts_cli.text.sentence_end import LOOKAHEAD


def texts(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def split(text: str, max_chars: int) -> list[str]:
    return texts(split_whole(text, max_chars))


PROSE = "The quick brown fox jumps over the lazy dog and runs on through the"  # a hard-wrapped line


# Text dense in everything the rules look at, besides arbitrary text.
CHARACTERS = "abAI15.!?…。！ \n\r\t,;:-#*(\"”)'[]\u00a0\u0301\u200d\u0085\f\x1c\x00😀🇩🇪\ud83d\ude00"


WORDS = ["Dr. ", "p.m. ", "e.g. ", "U.S. ", "No. 5", "The ", "[laugh]", "[a b", "...", "x.yz/?q=1 ", "J. R. "]


LINES = ["\r\n", "\n\n", "\n- ", "\n1. ", PROSE, " " * (LOOKAHEAD - 1), "中文，", "Monday"]


PARTS = [*CHARACTERS, *WORDS, *LINES]


TEXTS = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(PARTS), max_size=40).map("".join))


LIMITS = st.one_of(st.integers(1, 20), st.sampled_from([60, 300]))


def bare(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=400)
@given(TEXTS, LIMITS)
def test_nothing_is_lost_or_invented(text: str, max_chars: int) -> None:
    sentences = split(text, max_chars)
    assert bare("".join(sentences)) == bare(text)
    for sentence in sentences:
        assert 0 < len(sentence) <= max_chars
        assert sentence == " ".join(sentence.split())


@settings(max_examples=600)
@given(TEXTS, LIMITS, st.data())
def test_the_cut_into_pieces_does_not_matter(text: str, max_chars: int, data: st.DataObject) -> None:
    whole = split_whole(text, max_chars)
    splitter = SentenceSplitter(max_chars)
    assert [s for char in text for s in splitter.feed(char)] + splitter.finish() == whole

    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [s for piece in pieces for s in splitter.feed(piece)] + splitter.finish() == whole


PATIENCE: list[Patience] = ["sentences", "words", "all"]


@settings(max_examples=400)
@given(st.lists(st.tuples(TEXTS, st.sampled_from([None, *PATIENCE]))), LIMITS)
def test_a_pause_loses_and_invents_nothing(pieces: list[tuple[str, Patience | None]], max_chars: int) -> None:
    splitter, found = SentenceSplitter(max_chars), []
    for piece, patience in pieces:
        found += splitter.feed(piece)
        if patience is not None:
            found += splitter.pause(patience)
    found += splitter.finish()
    assert bare("".join(texts(found))) == bare("".join(piece for piece, _ in pieces))
    assert all(0 < len(sentence.text) <= max_chars for sentence in found)


@pytest.mark.parametrize(
    ("text", "sentences", "words", "everything"),
    [
        # Complete by its punctuation
        ("Let me check that.", ["Let me check that."], [], []),
        ("Well... i see... ", ["Well... i see..."], [], []),
        ("Really?", ["Really?"], [], []),
        ('He said "Stop!"', ['He said "Stop!"'], [], []),
        ("See it.[12]", ["See it.[12]"], [], []),
        ("你好。", ["你好。"], [], []),
        ("「はい。」", ["「はい。」"], [], []),
        # Half a number, a word, an abbreviation or an address
        ("Pi is 3.", [], ["Pi is"], ["3."]),
        ("Pi is 3", [], ["Pi is"], ["3"]),
        ("It costs 1,", [], ["It costs"], ["1,"]),
        ("He lives in the U.", [], ["He lives in the"], ["U."]),
        ("He lives in the U.S.", [], ["He lives in the"], ["U.S."]),
        ("A tool, e.g.", [], ["A tool,"], ["e.g."]),
        ("A tool, e.g. ", [], ["A tool,"], ["e.g."]),
        ("I met Dr. J. ", [], ["I met"], ["Dr. J."]),
        ("1. ", [], [], ["1."]),
        ("Go to www.", [], ["Go to"], ["www."]),
        ("Go to example.co.", [], ["Go to"], ["example.co."]),
        ("Go to https://a.b/?", [], ["Go to"], ["https://a.b/?"]),
        ("hel", [], [], ["hel"]),
        ("Say hel", [], ["Say"], ["hel"]),
        ("Say hello ", [], ["Say hello"], []),
        # Words that are whole
        ("At 5 p.m.", [], ["At 5 p.m."], []),
        ("I said no.", [], ["I said no."], []),
        ("Password:", [], ["Password:"], []),
        ("Well,", [], ["Well,"], []),
        (PROSE + "\n", [], [PROSE], []),
        # A tag that was begun
        ("Hm [clear thr", [], ["Hm"], []),
        ("[lau", [], [], []),
        # Nothing that could be spoken
        ("...", [], [], ["..."]),
        ("", [], [], []),
    ],
)
def test_what_a_pause_lets_be_spoken(text: str, sentences: list[str], words: list[str], everything: list[str]) -> None:
    splitter = SentenceSplitter(300)
    assert splitter.feed(text) == []
    assert [texts(splitter.pause(patience)) for patience in PATIENCE] == [sentences, words, everything]


@pytest.mark.parametrize("patience", ["sentences", "words"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_writer_who_pauses_all_the_time_parts_no_word_and_no_number(patience: Patience, size: int) -> None:
    text = (
        "Pi is 3.14159, e.g. 1,000 of the U.S. say so at 5 p.m. today. Dr. J. Foo [laugh] agrees: hello! It's 10:30.\n"
    )
    splitter, found = SentenceSplitter(300), []
    for start in range(0, len(text), size):
        found += splitter.feed(text[start : start + size]) + splitter.pause(patience)
    found += splitter.finish()
    assert " ".join(texts(found)) == text.strip(), "cut only at white space"
    for sentence in texts(found):
        assert not sentence.endswith(("Dr.", "J.", "e.g.")), sentence


def test_after_a_pause_in_a_sentence_the_rest_is_known_to_go_on() -> None:
    splitter = SentenceSplitter(300)
    assert splitter.feed("The quick brown ") == []
    assert splitter.pause("words") == [Sentence("The quick brown", "cut")]
    assert splitter.feed("fox jumps.\n\nNext.\n") == [
        Sentence("fox jumps.", "sentence"),
        Sentence("Next.", "sentence", new_paragraph=True),
    ]
    assert splitter.feed(PROSE + "\n") == []
    assert splitter.pause("words") == [Sentence(PROSE, "line")]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["[laugh]", "[clear throat]", "so", "well,", "Yes.", "Dr."]), max_size=40))
def test_a_tag_is_never_split(words: list[str]) -> None:
    text = " ".join(words)
    tags = re.findall(r"\[.*?\]", text)
    assert [tag for s in split(text, 20) for tag in re.findall(r"\[.*?\]", s)] == tags


@pytest.mark.parametrize("unit", ["a", "word ", "\n", " ", "[a", "!", "你", "clause, ", "Dr. Who. "])
def test_an_endless_line_takes_linear_work_and_bounded_memory(unit: str) -> None:
    size, piece, max_chars = 1 << 20, 1 << 16, 300
    text = unit * (size // len(unit))
    splitter = SentenceSplitter(max_chars)
    count, started = 0, time.process_time()
    for at in range(0, len(text), piece):
        count += len(splitter.feed(text[at : at + piece]))
        assert len(splitter._text) <= max_chars + 2 * LOOKAHEAD + 2
    count += len(splitter.finish())
    assert count * max_chars >= len(bare(text))
    assert time.process_time() - started < 10  # quadratic work would take minutes
