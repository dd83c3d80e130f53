"""Where text comes from: as it arrives, checked, and with a place for what is wrong with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.errors import NothingToSayError, UsageError
from tts_cli.segment import Sentence
from tts_cli.source import LiveText, ReadyText, TextSource, text_argument, text_file, text_lines


def next_text(source: TextSource, pending: Callable[[], object] = lambda: None) -> str | None:
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

    def pieces():
        yield "First sentence.\n"
        assert go_on.wait(60)
        yield "Second"
        yield " one.\n"

    source = LiveText(pieces())
    waits = []
    assert next_text(source) == "First sentence."
    assert source.join_next(anything) is None
    assert next_text(source, lambda: (waits.append(True), go_on.set())) == "Second one."
    assert waits == [True]
    assert source.next_sentence(lambda: None) is None


def test_closing_ends_a_wait() -> None:
    never = threading.Event()
    source = LiveText(iter(lambda: never.wait(60) and "", None))
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
        (b"a" * 70_000 + b"\xff", 70_000),
        (b"a" * 65_535 + "é".encode() + b"\xfe", 65_537),
        (b"ends within \xc3", 12),
        (b"ELF\0\0\1", 3),
    ],
)
def test_bytes_that_are_not_text_are_named_by_their_place(tmp_path: Path, data: bytes, position: int) -> None:
    file = tmp_path / "text"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=rf"byte {position}\)"):
        text_file(file)


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
    assert all_of(text_lines(iter(["hello\n", "\n", "and more, " * 12 + "of it\n"])))[0] == "hello"


def test_ten_megabytes_without_a_break_come_in_bounded_sentences() -> None:
    source = ReadyText(iter(["word " * 13_107] * 160))
    first = next_text(source)
    assert first is not None
    assert len(first) <= 300
    assert source.waiting_characters < 200_000
