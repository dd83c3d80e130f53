"""Where text comes from: as it arrives, checked, and with a place for what is wrong with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.errors import NothingToSayError, TextError
from tts_cli.segment import Sentence
from tts_cli.text.live import LiveText
from tts_cli.text.sentence_queue import AHEAD
from tts_cli.text.sources import ReadyText, TextSource, text_argument, text_file


def next_text(source: TextSource, pending: Callable[[], None] = lambda: None) -> str | None:
    sentence = source.next_sentence(pending)
    return None if sentence is None else sentence.text


def all_of(source: TextSource) -> list[str]:
    found = []
    while (text := next_text(source)) is not None:
        found.append(text)
    return found


def anything(_: Sentence) -> bool:
    return True


def test_a_sentence_is_there_before_the_next_is_written() -> None:
    go_on = threading.Event()

    def pieces() -> Iterator[str]:
        yield "First sentence.\n"
        assert go_on.wait(60)
        yield "Second"
        yield " one.\n"

    def waiting() -> None:
        waits.append(True)
        go_on.set()

    source = LiveText(pieces())
    waits: list[bool] = []
    assert next_text(source) == "First sentence."
    assert source.join_next(anything) is None
    assert next_text(source, waiting) == "Second one."
    assert waits == [True]
    assert source.next_sentence(lambda: None) is None


def test_closing_ends_a_wait() -> None:
    never = threading.Event()

    def pieces() -> Iterator[str]:
        never.wait(60)
        yield ""

    source = LiveText(pieces())
    assert source.next_sentence(source.close) is None
    never.set()


@pytest.mark.parametrize("kind", [ReadyText, LiveText])
def test_after_closing_there_is_no_more(kind: type[ReadyText | LiveText]) -> None:
    source = kind(iter(["One. Two. Three. Four.\n"]))
    assert next_text(source) == "One."
    source.close()
    assert source.join_next(anything) is None
    assert source.next_sentence(lambda: None) is None


@given(st.lists(st.sampled_from(["One. ", "Two is here. ", "Three? "]), min_size=1), st.integers(1, 40))
def test_joining_keeps_order_and_the_limit(parts: list[str], room: int) -> None:
    source = text_argument("".join(parts))
    found = []
    while (text := next_text(source)) is not None:
        found.append(text)
        while (more := source.join_next(lambda sentence: len(sentence.text) <= room)) is not None:
            assert len(more.text) <= room
            found.append(more.text)
    assert found == [part.strip() for part in parts]


def test_what_cannot_be_spoken_hides_no_blank_line() -> None:
    source = text_argument("***\n\nOne.\n\n***\nTwo. Three.")
    sentences = [source.next_sentence(lambda: None) for _ in range(3)]
    assert [sentence and sentence.new_paragraph for sentence in sentences] == [False, True, False]


@pytest.mark.parametrize("text", ["", "   \n\t ", "😀 🎉", "!!! … ---", "*"])
def test_nothing_to_say_is_known_at_once(text: str) -> None:
    with pytest.raises(NothingToSayError):
        text_argument(text)


def test_nothing_to_say_ends_a_live_text_too() -> None:
    source = LiveText(iter(["  ", "\n"]))
    with pytest.raises(NothingToSayError):
        source.next_sentence(lambda: None)


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"caf\xe9 au lait", 3),
        (b"a" * 4095 + "é".encode() + b"\xfe", 4097),
        (b"a" * 65_535 + b"\xff", 65_535),
        (b"ends within \xc3", 12),
        (b"ELF\0\0\1", 3),
    ],
)
def test_bytes_that_are_not_text_are_named_by_their_place(tmp_path: Path, data: bytes, position: int) -> None:
    file = tmp_path / "text"
    file.write_bytes(data)
    with pytest.raises(TextError, match=rf"byte {position}\)"):
        text_file(file)


def test_what_stands_before_bytes_that_are_not_text_is_spoken(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"Some sentence.\n" * 10_000 + b"\xff")
    source = text_file(file)
    for _ in range(10_000):
        assert next_text(source) == "Some sentence."
    for _ in range(2):
        with pytest.raises(TextError, match=r"byte 150000\)"):
            next_text(source)


def test_a_huge_file_is_read_as_it_is_spoken(tmp_path: Path) -> None:
    file = tmp_path / "text"
    with file.open("wb") as out:
        out.write(b"First. ")
        out.truncate(1 << 40)  # a terabyte, none of which is text
    with pytest.raises(TextError, match=r"byte 7\)"):
        text_file(file)
    file.write_bytes(b"Some sentence.\n" * 100_000)
    source = text_file(file)
    for _ in range(100):
        assert next_text(source) == "Some sentence."
        assert AHEAD <= source.waiting_characters < 2 * AHEAD


def test_a_fast_writer_has_to_wait() -> None:
    written = 0

    def pieces() -> Iterator[str]:
        nonlocal written
        while True:
            written += 1
            yield "Some sentence.\n" * 100

    source = LiveText(pieces())
    for _ in range(1000):
        assert next_text(source) == "Some sentence."
        assert source.waiting_characters < AHEAD + 1500
    assert written <= 10 + AHEAD // 1400 + 2
    source.close()


def test_closing_ends_a_reader_that_waits_for_room() -> None:
    ended = threading.Event()

    def pieces() -> Iterator[str]:
        try:
            while True:
                yield "Some sentence.\n" * 1000
        finally:
            ended.set()

    source = LiveText(pieces())
    assert next_text(source) == "Some sentence."
    source.close()
    del source
    assert ended.wait(60)


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), ValueError("no"), KeyboardInterrupt()]
)
def test_whatever_ends_the_reading_is_raised_where_the_text_is_asked_for(error: BaseException) -> None:
    def pieces() -> Iterator[str]:
        yield "One.\nTwo"
        raise error

    source = LiveText(pieces())
    assert next_text(source) == "One."
    assert next_text(source) == "Two"
    with pytest.raises(type(error)):
        next_text(source)


def test_what_a_writer_leaves_unfinished_is_spoken_when_it_pauses() -> None:
    now, split, go_on = 0.0, threading.Event(), threading.Event()

    def pieces() -> Iterator[str]:
        yield "Let me check that. And I"
        split.set()  # the next piece is asked for
        assert go_on.wait(60)

    def pause(seconds: float) -> None:
        nonlocal now
        assert split.wait(60)
        now += seconds

    source = LiveText(pieces(), idle=0.7, clock=lambda: now)
    assert next_text(source) == "Let me check that."
    assert next_text(source, lambda: pause(2)) == "And"
    assert next_text(source, lambda: pause(3)) == "I"
    go_on.set()
    assert next_text(source) is None


def test_without_idle_flush_unfinished_text_waits() -> None:
    now, go_on = 0.0, threading.Event()

    def pieces() -> Iterator[str]:
        yield "Let me check that."
        assert go_on.wait(60)
        yield ".. again."

    def pause() -> None:
        nonlocal now
        now += 3600
        go_on.set()

    source = LiveText(pieces(), idle=0, clock=lambda: now)
    assert next_text(source, pause) == "Let me check that... again."


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"\xef\xbb\xbfHello.")
    assert all_of(text_file(file)) == ["Hello."]


def test_a_named_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first_heard = threading.Event()

    def write() -> None:
        with pipe.open("wb", buffering=0) as end:
            end.write(b"First. ")
            assert first_heard.wait(60)
            end.write(b"Second.")

    writer = threading.Thread(target=write)
    writer.start()
    source = text_file(pipe)
    assert next_text(source) == "First."
    first_heard.set()
    assert next_text(source) == "Second."
    writer.join()


def test_a_line_typed_is_spoken_without_punctuation() -> None:
    long_line = "and more, " * 12 + "of it"
    waiting = threading.Event()

    def lines() -> Iterator[str]:
        yield "hello\n"
        yield long_line + "\n"
        assert waiting.wait(60)

    source = LiveText(lines(), by_line=True)
    assert next_text(source) == "hello"
    assert next_text(source) == long_line
    assert next_text(source, waiting.set) is None


def test_ten_megabytes_without_a_break_come_in_bounded_sentences() -> None:
    source = ReadyText(iter(["word " * 13_107] * 160))
    first = next_text(source)
    assert first is not None
    assert len(first) <= 300
    assert source.waiting_characters < 200_000
