"""What is spoken of inline Markdown: emphasis, links, code and HTML in a paragraph. markdown-it-py parses it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_URL: Final = re.compile(r"https?://[^\s<>]+", re.IGNORECASE)
_URL_END: Final = re.compile(r"[?!.,:;*_~'\"“”’)\]]*\Z")
_MATH: Final = re.compile(
    r"(?P<dollars>\$\$(?:\\.|[^$\\])+\$\$|\$(?=\S)(?:\\.|[^$\\])+(?<=\S)\$(?!\d))"
    r"|\\\((?P<inline>(?:(?!\\[()]).)+)\\\)|\\\[(?P<display>(?:(?!\\[\[\]]).)+)\\\]",
    re.DOTALL,
)
_FOOTNOTE: Final = re.compile(r"\[\^[^\s\[\]]+\]")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NOT_SHOWN: Final = ("script", "style", "template", "title")


def add_inline_rules(md: MarkdownIt) -> None:
    """Teach `md` that math is text, and what a footnote mark is."""
    md.inline.ruler.before("escape", "math", _math)
    md.inline.ruler.before("link", "footnote", _footnote)


def _math(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = _MATH.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.push("text", "", 0).content = found["dollars"] or found["inline"] or found["display"]
    state.pos = found.end()
    return True


def _footnote(state: StateInline, silent: bool) -> bool:
    found = _FOOTNOTE.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.push("footnote", "", 0)
    state.pos = found.end()
    return True


def spoken(md: MarkdownIt, source: str, references: dict[str, Any]) -> str:
    """What is spoken of a paragraph, a heading or a table cell, with a newline for each line break of the author.

    Parameters
    ----------
    md
        The parser.
    source
        Its Markdown.
    references
        The known link reference definitions, as markdown-it-py stores them.

    Returns
    -------
    str
        Plain text.
    """
    tokens: list[Token] = []
    md.inline.parse(source, md, {"references": references}, tokens)
    return _spoken(tokens)


def _spoken(tokens: Iterable[Token]) -> str:
    parts: list[str] = []
    text = ""  # a web address may consist of several tokens
    autolink = False
    for token in tokens:
        if token.type in ("text", "text_special"):
            text += token.content
            continue
        parts.append(_host_or_text(text) if autolink else _with_hosts(text))
        text = ""
        autolink = token.type == "link_open" and token.info == "auto"
        if token.type == "code_inline":
            parts.append(token.content)
        elif token.type == "softbreak":
            parts.append(" ")
        elif token.type == "hardbreak" or (token.type == "html_inline" and token.content.lower().startswith("<br")):
            parts.append("\n")
        elif token.type == "image":
            parts.append(_spoken(token.children or []))
    return "".join([*parts, _with_hosts(text)])


def _with_hosts(text: str) -> str:
    """`text` with each web address replaced by its host."""

    def host(found: re.Match[str]) -> str:
        end = _URL_END.search(found[0])
        assert end is not None
        return _host_or_text(found[0][: end.start()]) + end[0]

    return _URL.sub(host, text) if "://" in text else text


def _host_or_text(address: str) -> str:
    try:
        return urlsplit(address).hostname or address
    except ValueError:
        return address


class _Shown(HTMLParser):
    """Collects the text that a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(" ")
        self._hidden += tag in _NOT_SHOWN
        if tag == "img":
            self.parts.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(" ")
        self._hidden = max(0, self._hidden - (tag in _NOT_SHOWN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def shown(html: str) -> str:
    """The text of a block of HTML, without tags, comments and elements that are never shown.

    Examples
    --------
    >>> shown("<p>Hello,<br>world<!-- and moon -->.</p>")
    'Hello, world.'
    """
    parser = _Shown()
    parser.feed(_COMMENT.sub("", html))
    parser.close()
    return " ".join("".join(parser.parts).split())
