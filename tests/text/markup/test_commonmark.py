"""Nothing that is text is lost: what is spoken of every example of CommonMark's specification, and what it shows."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.text.markup.code import Code
from tts_cli.text.markup.reading import Format, Reading
from tts_cli.text.stream import SpeakableSentences

EXAMPLES: list[list[str]] = json.loads(Path(__file__).with_name("commonmark.json").read_text("utf-8"))["examples"]
WITHIN_WORDS = ("a", "em", "strong", "code", "img", "b", "i", "del", "bab", "c2c")


def spoken(pieces: list[str], of: Format = "markdown", code: Code = "speak") -> list[tuple[str, bool]]:
    """Each sentence, and whether a paragraph begins with it."""
    sentences = SpeakableSentences(300, Reading(of, code).markup())
    said = [sentence for piece in pieces for sentence in sentences.feed(piece)] + sentences.rest()
    return [(sentence.text, sentence.new_paragraph) for sentence in said]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


class Page(HTMLParser):
    """The text that a browser shows, with the host of each address that is its own text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.open: list[str] = []
        self.feed(html.replace("</a><a", "</a> <a"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += "" if tag in WITHIN_WORDS else " "
        self.text += dict(attrs).get("alt") or ""
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.text += "" if tag in WITHIN_WORDS else " "
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if "script" in self.open or "style" in self.open:
            return
        if "code" not in self.open:
            scheme = r"[A-Za-z][\w+.-]+" if "a" in self.open else "https?"
            data = re.sub(rf"\b{scheme}://([^\s/?#:]+)[^\s<>]*", r"\1", data)
        self.text += data


def is_within(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(word in rest for word in few)


@pytest.mark.parametrize("number", range(1, len(EXAMPLES) + 1))
def test_every_word_that_is_shown_is_spoken_in_its_place(number: int) -> None:
    source, html = EXAMPLES[number - 1]
    said = " ".join(text for text, _ in spoken([source]))
    assert is_within(words(Page(html).text), words(said)), (source, html, said)


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from([source for source, _ in EXAMPLES]), min_size=1, max_size=4),
    st.sampled_from(["markdown", "auto"]),
    st.sampled_from(["speak", "announce", "skip"]),
    st.data(),
)
def test_the_cut_into_pieces_does_not_matter(sources: list[str], of: Format, code: Code, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(["", "\n"])).join(sources)
    whole = spoken([text], of, code)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    assert spoken([text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)], of, code) == whole
    assert spoken(list(text), of, code) == whole
