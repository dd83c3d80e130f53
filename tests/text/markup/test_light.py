"""Text that is not known to be Markdown: what is left out of it, and what stays because it may be something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.markup.test_commonmark import spoken
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.reading import Reading
from tts_cli.text.sources import TextSource, text_argument, text_file

LONG = "This line is longer than those that are taken for whole sentences without a mark"

LEFT_OUT: list[tuple[str, list[str]]] = [
    ("Some **bold** and *slanted* and ***both***.", ["Some bold and slanted and both."]),
    ("Some __bold words__ and _slanted_ ones.", ["Some bold words and slanted ones."]),
    ("**Note:** *It (really)* rains.", ["Note: It (really) rains."]),
    ("**A *b* c**, *d **e** f*", ["A b c, d e f"]),
    ("这是**重点**内容。", ["这是重点内容。"]),
    ("It *goes\non* here.", ["It goes", "on here."]),
    ("See [the *docs*](https://example.com/a_(b) 'title') now.", ["See the docs now."]),
    ("![A cat](cat.png) sleeps! [![state](a.svg)](b)", ["A cat sleeps!", "state"]),
    (f"# {LONG}\nIt rains.\n## C# ##\nIt pours.", [LONG, "It rains.", "C#", "It pours."]),
    (f"{LONG}\n# Title\nText.", [LONG, "Title", "Text."]),
    ("Look:\n```py\nprint(*a, **b)\n```\nDone.", ["Look:", "Code block in Python.", "Done."]),
    ("1. Look:\n   ~~~sh\n   ls\n   ~~~\n2. Done.", ["1. Look:", "Code block in Bash.", "2. Done."]),
    ("Look:\r\n```\r\nls\r\n```\r\nDone.", ["Look:", "Code block.", "Done."]),
]
STAYS = [
    "It is 2 * 3 * 4, 2*3*4 and 2**3**4.",
    "A snake_case_name, a _private one and __init__ here.",
    "Call f(*args, **kwargs) with *.py and *.c files.",
    "Not *this\n\nbut that* here.",
    "A footnote* and *another footnote.",
    "An escaped \\*star\\* here.",
    "He [laugh] said [this] (that) and [so on](see the other page).",
    "A #hashtag, # alone and #!/bin/sh.",
    "#hashtag first, ####### too many.",
    "Title\n~~~~~\nText.",
    "Use `code`, ~~this~~, <b>that</b>, &amp; | so | on.",
    "> quoted\n\n- item\n\n* item\n\n| a | b |\n",
    "See https://example.com/a*b*c/_d_e_.",
    "Hm! ![ and ]( and [.",
]


@pytest.mark.parametrize(("text", "sentences"), LEFT_OUT)
def test_what_can_only_be_a_mark_is_left_out(text: str, sentences: list[str]) -> None:
    assert [said for said, _ in spoken([text], "auto", "announce")] == sentences


@pytest.mark.parametrize("text", STAYS)
def test_what_may_be_something_else_stays(text: str) -> None:
    assert spoken([text], "auto") == spoken([text], "plain")


@pytest.mark.parametrize(
    ("code", "sentences"),
    [("skip", ["Look:", "Done."]), ("speak", ["Look:", "ls -l", "cd", "Done."])],
)
def test_code_may_be_skipped_or_read(code: Code, sentences: list[str]) -> None:
    assert [said for said, _ in spoken(["Look:\n```sh\nls -l\ncd\n```\nDone."], "auto", code)] == sentences


@settings(max_examples=200)
@given(st.lists(st.text("ab1 .\n*_[]()!#`~'\\é", max_size=9)), st.booleans())
def test_no_letter_is_lost_but_of_addresses_and_languages(pieces: list[str], in_lines: bool) -> None:
    text = ("\n" if in_lines else "").join(pieces).replace("](", "] (").replace("```", "``").replace("~~~", "~~")
    said = "".join(sentence for sentence, _ in spoken([text], "auto"))
    assert [char for char in said if char.isalnum()] == [char for char in text if char.isalnum()]
    assert spoken(pieces if not in_lines else list(text), "auto") == spoken(
        ["".join(pieces) if not in_lines else text], "auto"
    )


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters="*_[#`~", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t ")))
def test_text_without_marks_is_spoken_as_plain_text_is(text: str) -> None:
    assert spoken([text], "auto") == spoken([text], "plain")


def test_a_line_is_heard_as_soon_as_it_would_be_without_marks() -> None:
    source = text_argument("It rains. It pours.", Reading("auto"))
    assert source.next_sentence(lambda: None) is not None


def first_of(source: TextSource) -> str:
    sentence = source.next_sentence(lambda: None)
    assert sentence is not None
    return sentence.text


@pytest.mark.parametrize("name", ["a.md", "a.markdown", "A.MD"])
def test_a_file_of_markdown_is_read_as_such(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("| a |\n|---|\n| 1 |\n")
    assert first_of(text_file(file)) == "a: 1."
    assert first_of(text_file(file, reading=Reading("plain"))) == "| a |"


def test_a_file_of_another_name_is_markdown_if_the_caller_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("| a |\n|---|\n| 1 |\n")
    assert first_of(text_file(file)) == "| a |"
    assert first_of(text_file(file, reading=Reading("markdown"))) == "a: 1."


def test_a_huge_file_of_markdown_is_read_as_it_is_spoken(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    with file.open("wb") as out:
        out.write(b"# First\n\n" + b"Some *sentence*.\n\n" * 5000)
        out.truncate(1 << 40)  # a terabyte, of which the rest is no text
    source = text_file(file)
    assert first_of(source) == "First"
    for _ in range(10):
        assert first_of(source) == "Some sentence."
    assert source.waiting_characters < 20_000
