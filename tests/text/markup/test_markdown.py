"""Markdown, as it is spoken: what each kind of mark becomes, and when it is spoken while it is written."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.markup.test_commonmark import spoken
from tts_cli.errors import NothingToSayError, UsageError
from tts_cli.segment import Sentence
from tts_cli.text.idle import Idle
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.reading import Format, Reading
from tts_cli.text.sources import text_argument
from tts_cli.text.stream import SpeakableSentences

LONG = "This line is longer than those that are taken for whole sentences without a mark"


def said(text: str, code: Code = "announce") -> list[str]:
    """The sentences, each that begins a paragraph after another with a mark."""
    return [f"¶ {sentence}" if begins else sentence for sentence, begins in spoken([text], "markdown", code)]


RULES: list[tuple[str, list[str]]] = [
    # Emphasis loses its marks
    ("*One* **two** ***three*** _four_ __five__ ~~six~~.", ["One two three four five six."]),
    ("un*frigging*believable, 2 * 3 * 4, snake_case_name", ["unfriggingbelievable, 2 * 3 * 4, snake_case_name"]),
    ("*Over\nlines* it goes.", ["Over lines it goes."]),
    (r"\*Not\* emphasis.", ["*Not* emphasis."]),
    # Headings are sentences of their own, with a pause before and after
    (f"# {LONG}\nIt rains.", [LONG, "¶ It rains."]),
    (f"It rains.\n## {LONG} ##\nIt pours.", ["It rains.", f"¶ {LONG}", "¶ It pours."]),
    ("A *title*\n=======\nIt rains.", ["A title", "¶ It rains."]),
    # Items are sentences, and numbered ones say their number
    (f"- {LONG}\n- Two\n* Three", [LONG, "Two", "Three"]),
    ("3. Three\n4. Four\n9. Five", ["3. Three", "4. Four", "5. Five"]),
    ("1. One\n1. Two\n\n1. Three", ["1. One", "2. Two", "¶ 3. Three"]),
    ("1. One\n   - a\n   - b\n2. Two", ["1. One", "a", "b", "2. Two"]),
    ("1. One\n\n   More of it.\n2. Two", ["1. One", "¶ More of it.", "2. Two"]),
    ("1. - deep", ["1. deep"]),
    ("1.\n2. Two", ["2. Two"]),
    ("1. ```sh\n   ls\n   ```\n2. Two", ["1. Code block in Bash.", "2. Two"]),
    # Links speak their text, addresses their host, images their alternative text
    ("See [the *docs*](https://example.com/a_(b) 'title') now.", ["See the docs now."]),
    ("[ref]: https://example.com\n\nSee [the docs][ref] and [ref].", ["See the docs and ref."]),
    (
        "See https://example.com/a/b?c=d#e. Then http://user@www.example.org:80!",
        ["See example.com.", "Then www.example.org!"],
    ),
    ("Or <https://example.com/a_b_c>, <me@example.com>.", ["Or example.com, me@example.com."]),
    ("[https://example.com/a](https://example.com/a) is it.", ["example.com is it."]),
    ("![A *small* cat](cat.png 'title') sleeps.", ["A small cat sleeps."]),
    # Tables are read row by row
    ("| Name | Age |\n|---|---|\n| *Ann* | 3 |\n| Bob. | |", ["Name: Ann, Age: 3.", "Name: Bob."]),
    ("It is so:\n\na | b\n-|-\n1 | 2\n\nEnd.", ["It is so:", "¶ a: 1, b: 2.", "¶ End."]),
    ("| Name | Age |\n|---|---|\n\nNobody.", ["Name, Age.", "¶ Nobody."]),
    ("| | Age |\n|---|---|\n| Ann | 3! |", ["Ann, Age: 3!"]),
    # Code in a line is text
    ("Type `a_b *c* [d](e)` now.", ["Type a_b *c* [d](e) now."]),
    # HTML, comments, front matter and the marks of footnotes are left out
    ("A <b class='x'>bold</b> word<br>breaks <!-- not here -->off.", ["A bold word", "breaks off."]),
    ("<div>\n<p>Some text</p>\n<script>not()</script>\n</div>\n\nEnd.", ["Some text", "¶ End."]),
    ("One.\n\n<!-- not\n\nthis -->\n\nTwo.", ["One.", "¶ Two."]),
    ("- Item\n\n  ```\n  code\n\n  code\n  ```\n\n  More\n- End", ["Item", "¶ Code block.", "¶ More", "End"]),
    ("> ```\n> code\n\nEnd", ["Code block.", "¶ End"]),
    ("---\ntitle: A day\ntags: [a]\n\n---\nIt rains.", ["It rains."]),
    ("+++\ntitle = 'A day'\n+++\nIt rains.", ["It rains."]),
    ("---\nIt rains.\n---", ["It rains."]),
    ("---\nnote: has no end", ["note: has no end"]),
    (
        "It rains[^1], it pours[^two].\n\n[^1]: Today.\n[^two]: Tomorrow",
        ["It rains, it pours.", "¶ Today.", "Tomorrow"],
    ),
    ("[^1]: word", ["word"]),
    # Math is text
    (
        "Let $a_1 * b_1$ and $$x*y*z$$ be. It cost $5, or $6.",
        ["Let $a_1 * b_1$ and $$x*y*z$$ be.", "It cost $5, or $6."],
    ),
    (r"So \(a_1 * b_1\) is.", ["So a_1 * b_1 is."]),
    # The rest
    ("> *It* rains,\n> it says.\nAnd pours.", ["It rains, it says.", "And pours."]),
    ("One\n***\nTwo", ["One", "¶ Two"]),
    ("Roses,  \nviolets\\\nand so on.", ["Roses,", "violets", "and so on."]),
    ("&copy; AT&amp;T &#65;", ["© AT&T A"]),
    ("He laughs. [laugh] Then [clear throat] speaks.", ["He laughs.", "[laugh] Then [clear throat] speaks."]),
    ("Dr. Smith came\nhome. It was late.", ["Dr. Smith came home.", "It was late."]),
    ("1986. A great year.", ["1986.", "A great year."]),
    ("One.\r\n\r\nTwo\rlines.", ["One.", "¶ Two lines."]),
]


@pytest.mark.parametrize(("text", "sentences"), RULES)
def test_each_mark_becomes_what_a_reader_would_say(text: str, sentences: list[str]) -> None:
    assert said(text) == sentences
    assert [s for s, _ in spoken(list(text), "markdown", "announce")] == [s.removeprefix("¶ ") for s in sentences]


CODE = "Try this:\n```py title=x\nprint(1)\n\nprint(2)\n```\nDone.\n\n    indented\n"


@pytest.mark.parametrize(
    ("code", "sentences"),
    [
        ("announce", ["Try this:", "¶ Code block in Python.", "¶ Done.", "¶ Code block."]),
        ("skip", ["Try this:", "¶ Done."]),
        ("speak", ["Try this:", "¶ print(1)", "¶ print(2)", "¶ Done.", "¶ indented"]),
    ],
)
def test_code_blocks_are_announced_left_out_or_read(code: Code, sentences: list[str]) -> None:
    assert said(CODE, code) == sentences


@pytest.mark.parametrize("word", ["format", "code"])
def test_another_word_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=f"{word} cannot be 'html'"):
        Reading(**{word: "html"})  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["auto", "markdown"])
def test_a_text_of_which_all_is_left_out_says_how_to_hear_it(format: Format) -> None:
    with pytest.raises(NothingToSayError, match="left out") as caught:
        text_argument("```\nls\n```\n", Reading(format, "skip"))
    assert "--code speak" in caught.value.remedy


def arriving(pieces: Iterable[str]) -> Iterator[list[str]]:
    """What is spoken after each of the pieces, and at the end."""
    sentences = SpeakableSentences(300, Reading("markdown").markup())
    for piece in pieces:
        yield [sentence.text for sentence in sentences.feed(piece)]
    yield [sentence.text for sentence in sentences.rest()]


@pytest.mark.parametrize(
    ("pieces", "heard"),
    [
        (["# A day\n", "It"], [["A day"], [], ["It"]]),
        (["One\n", "\n", "Two"], [[], ["One"], [], ["Two"]]),
        (["- One\n", "- Two"], [[], [], ["One", "Two"]]),
        (["- One\n", "- Two\n"], [[], ["One"], ["Two"]]),
        (["| a | b |\n|--|--|\n", "| 1 | 2 |\n", "| 3"], [[], ["a: 1, b: 2."], [], ["a: 3."]]),
        (["Look:\n\n```sh\n", "ls\n", "```\n"], [["Look:", "Code block in Bash."], [], [], []]),
        (["It **rains**. It po", "urs. And"], [["It rains."], ["It pours."], ["And"]]),
        (["> It rains. It po", "urs. And"], [["It rains."], ["It pours."], ["And"]]),
        (["- It rains. It po", "urs. And"], [["It rains."], ["It pours."], ["And"]]),
        (["It [rains. It", "](x) pours. And"], [[], ["It rains.", "It pours."], ["And"]]),
        (["It **rains. It", " pours.** And so. On"], [[], ["It rains.", "It pours.", "And so."], ["On"]]),
        (["[a]: x. y", " z. w\n\n"], [[], ["[a]: x.", "y z.", "w"], []]),
        (["One\n1", ". Two\n", "\n"], [[], ["One"], ["1. Two"], []]),
    ],
)
def test_a_block_is_heard_when_it_is_whole_and_a_sentence_when_its_marks_are(
    pieces: list[str], heard: list[list[str]]
) -> None:
    assert list(arriving(pieces)) == heard


def paused(pieces: list[str], pause: float, format: Format = "markdown") -> list[str]:
    """What is spoken where so many seconds pass after each piece, up to the end of the last pause."""
    sentences, waiting = SpeakableSentences(300, Reading(format).markup()), Idle(0.7, 0.0)
    found: list[Sentence] = []
    now = 0.0
    for piece in pieces:
        found += sentences.feed(piece)
        waiting.arrived(now)
        now += pause
        while patience := waiting.take(now):
            found += sentences.pause(patience)
    return [sentence.text for sentence in found]


@pytest.mark.parametrize("format", ["auto", "markdown"])
def test_a_pause_lets_the_last_block_be_heard_as_far_as_it_is_known(format: Format) -> None:
    assert paused(["Let me check *that*."], 0.6, format) == []
    assert paused(["Let me check *that*."], 0.7, format) == ["Let me check that."]
    assert paused(["Let me check *that*. And I"], 2, format) == ["Let me check that.", "And"]
    assert paused(["Let me check *that*. And I"], 5, format) == ["Let me check that.", "And", "I"]
    assert paused(["# A day in the li"], 2, format) == ["A day in the"]
    assert paused(["It **rains all d"], 0.7, format) == []
    assert paused(["One\n```py"], 5, format)[:1] == ["One"]


@pytest.mark.parametrize(
    ("pieces", "heard"),
    [
        (["- One", " two\n- Three\n"], ["One two", "Three"]),
        (["See [the docs](https://exa", "mple.com/a). Yes"], ["See", "the docs.", "Yes"]),
        (["1", ". One", "\n2", ". Two"], ["1. One", "2. Two"]),
        (["One\n1", ". Two"], ["One", "1. Two"]),
        (["| a |\n|", "--|\n|", " 1 |\n"], ["a: 1."]),
    ],
)
def test_what_was_heard_in_a_pause_is_not_heard_again(pieces: list[str], heard: list[str]) -> None:
    assert " ".join(paused([*pieces, "\n\n"], 2)) == " ".join(heard)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b1. ", "\n", "- ", "> ", "c, ", "d "]), st.sampled_from([0.0, 0.7, 2.0, 5.0]))
    ),
)
def test_no_pause_loses_a_word(steps: list[tuple[str, float]]) -> None:
    sentences, waiting = SpeakableSentences(300, Reading("markdown").markup()), Idle(0.7, 0)
    found: list[Sentence] = []
    for piece, pause in steps:
        found += sentences.feed(piece)
        waiting.arrived(0)
        while patience := waiting.take(pause):
            found += sentences.pause(patience)
    found += sentences.rest()
    rest = iter(char for sentence in found for char in sentence.text)
    assert all(char in rest for piece, _ in steps for char in piece if char.isalpha())


ENDLESS: dict[str, list[str]] = {
    "line": ["It rains and pours and so on, "],
    "sentences": ["It rains. It pours. "],
    "letters": ["abcdefghij" * 10],
    "paragraph": ["It rains for hours and hours and on.\n"],
    "emphasis": ["*", "it rains "],
    "links": ["[it rains "],
    "heading": ["# ", *["it rains "] * 200],
    "items": ["- One. Two\n"],
    "numbers": ["1. One. Two\n"],
    "an item": ["- It rains\n", *["\n  It pours\n"] * 60],
    "quotation": ["> It rains.\n>\n"],
    "quoted lines": ["> It rains for hours and hours and on.\n"],
    "code": ["```py\n", *["print(1)\n"] * 200],
    "indented": ["It is:\n\n", *["    print(1)\n"] * 200],
    "code in an item": ["- It is:\n\n  ```py\n", *["  print(1)\n"] * 200],
    "table": ["|a|b|\n|-|-|\n", *["|1|2|\n"] * 200],
    "comment": ["<!--\n", *["not this\n"] * 200],
    "definitions": ["[a]: b\n", "[c]: d\n"],
    "blank lines": ["\n"],
    "spaces": [" "],
    "front matter": ["---\na: b\n", *["and: so on and so forth\n"] * 200],
}


@pytest.mark.parametrize("format", ["markdown", "auto"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_block_without_end_is_not_held(kind: str, format: Format) -> None:
    text = "".join(ENDLESS[kind])
    text *= max(1, 4000 // len(text))
    rest = text[text.find("\n") + 1 :] if kind in ("code", "code in an item", "table", "comment", "indented") else text
    markup = Reading(format, "speak").markup()

    def feed(more: str) -> int:
        for at in range(0, len(more), 200):
            markup.feed(more[at : at + 200])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held = feed(text)
        for _ in range(4):
            after = feed(rest)
    finally:
        tracemalloc.stop()
    assert after - held < 10_000
