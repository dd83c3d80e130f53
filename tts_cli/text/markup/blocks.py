"""Reads the blocks of Markdown, in the order in which they are spoken. markdown-it-py parses them."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.rules_block import reference

from tts_cli.text.markup.code import Code, announcement
from tts_cli.text.markup.inline import add_inline_rules, shown, spoken

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

Kind: TypeAlias = Literal["text", "heading", "row", "columns", "announcement", "code", "indented", "html"]
MOST_REFERENCES: Final = 10_000
"""The most link reference definitions that are stored."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text that cannot change any more when the next block has begun.

    Attributes
    ----------
    kind
        `text` (a paragraph, also in a list item) and `heading` contain inline Markdown. `row` (of a table), `columns`
        (of a table without rows), `announcement` (of a code block), `code` (between fences), `indented` (code) and
        `html` contain what is spoken.
    content
        The Markdown, or the text that is spoken.
    line
        The line on which it begins.
    follows
        Whether it belongs to the block before it, as table rows and list items do.
    number
        The number of the list item that begins with this block, with a full stop.
    quotations
        How many quotations contain it; None in a list.
    """

    kind: Kind
    content: str
    line: int
    follows: bool = False
    number: str = ""
    quotations: int | None = 0


class Parsed(NamedTuple):
    """The blocks of some lines, and the last line from which the text can be read without the lines before it."""

    blocks: list[Block]
    begin: int
    """The first line of the last outermost block. If that is a list, the first line of its last item."""
    number: int | None
    """The number of that item; None if there is no item, or if it has no number."""
    top: str
    """The type of the last outermost block, as markdown-it-py names it: `paragraph_open`, `fence`, …"""


class BlockReader:
    """Reads lines of Markdown, and stores the link reference definitions in them.

    Parameters
    ----------
    code
        What to do with code blocks; see `Reading`.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._md = MarkdownIt("commonmark").enable(["table", "strikethrough"])
        self._md.block.ruler.at("reference", _reference, {"alt": []})
        add_inline_rules(self._md)
        self._references: dict[str, Any] = {}

    def spoken(self, source: str) -> str:
        """What is spoken of inline Markdown, with a newline for each line break of the author."""
        return spoken(self._md, source, self._references)

    def read(self, lines: str, number: int | None = None) -> Parsed:
        """Read the blocks of `lines`.

        Parameters
        ----------
        lines
            The text. If its last line is not complete, a definition in it is not stored.
        number
            The number of the first list item, if the lines begin with a list that began earlier.
        """
        tokens: list[Token] = []
        references = self._references if lines.endswith("\n") else ChainMap({}, self._references)
        self._md.block.parse(lines.replace("\0", "\ufffd"), self._md, {"references": references}, tokens)
        while len(self._references) > MOST_REFERENCES:
            del self._references[next(iter(self._references))]
        walk = _Walk(self, self._code, number)
        for token in tokens:
            walk.over(token)
        return Parsed(walk.blocks, walk.begin, walk.number, walk.top)


def _reference(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a link reference definition. The text of a footnote may look like one, but is none."""
    if state.src.startswith("[^", state.bMarks[start] + state.tShift[start]):
        return False
    return reference(state, start, end, silent)


class _Walk:
    """Makes blocks from the tokens of markdown-it-py."""

    def __init__(self, reader: BlockReader, code: Code, number: int | None) -> None:
        self.blocks: list[Block] = []
        self.begin = 0
        self.number: int | None = None
        self.top = ""
        self._reader = reader
        self._code = code
        self._first_number = number
        self._counters: list[int | None] = []  # the next number of each open list; None for a list without numbers
        self._pending: list[str] = []  # numbers of items that have no block yet
        self._quotations = 0
        self._follows = False
        self._kind: Kind = "text"
        self._columns: list[str] | None = None
        self._has_rows = False
        self._cells: list[str] | None = None
        self._line = 0

    def over(self, token: Token) -> None:
        """Process the next token."""
        if token.map:
            self._line = token.map[0]
            if token.level == 0 and token.nesting >= 0:
                self.begin, self.number, self.top, self._follows = self._line, None, token.type, False
        match token.type:
            case "blockquote_open" | "blockquote_close":
                self._quotations += token.nesting
            case "bullet_list_open":
                self._counters.append(None)
            case "ordered_list_open":
                goes_on = self._first_number is not None and token.level == self._line == 0
                self._counters.append(self._first_number if goes_on else int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self._counters.pop()
            case "list_item_open":
                self._open_item(token)
            case "list_item_close":
                if self._pending and self._counters[-1] is not None:
                    self._pending.pop()
            case "paragraph_open":
                self._kind = "text"
            case "heading_open":
                self._kind = "heading"
            case "inline":
                if self._cells is None:
                    self._add(self._kind, token.content)
                else:
                    self._cells.append(" ".join(self._reader.spoken(token.content).split()))
            case "fence" | "code_block":
                if self._code == "announce":
                    self._add("announcement", announcement(token.info))
                self._add(
                    "code" if token.type == "fence" else "indented", token.content if self._code == "speak" else ""
                )
            case "html_block":
                self._add("html", shown(token.content))
            case "table_open":
                self._columns, self._has_rows = None, False
            case "tr_open":
                self._cells = []
            case "tr_close":
                self._close_row()
            case "table_close" if not self._has_rows:
                self._add("columns", _sentence(self._columns or []))

    def _add(self, kind: Kind, content: str) -> None:
        quotations = None if self._counters else self._quotations
        self.blocks.append(Block(kind, content, self._line, self._follows, " ".join(self._pending), quotations))
        self._follows = False
        self._pending.clear()

    def _open_item(self, token: Token) -> None:
        number = self._counters[-1]
        if number is not None:
            self._pending.append(f"{number}.")
            self._counters[-1] = number + 1
        if token.level == 1:
            self.begin, self.number = self._line, number
        self._follows = True

    def _close_row(self) -> None:
        assert self._cells is not None
        cells, self._cells = self._cells, None
        if self._columns is None:
            self._columns = cells
            return
        pairs = zip(self._columns, cells, strict=True)
        self._add("row", _sentence([f"{name}: {cell}" if name and cell else cell for name, cell in pairs]))
        self._follows = self._has_rows = True


def _sentence(cells: list[str]) -> str:
    """One sentence with the text of `cells`."""
    *others, last = [cell for cell in cells if cell] or [""]
    texts = [cell.rstrip(".,;") for cell in others]
    return ", ".join([*texts, last if not last or last.endswith((".", "!", "?")) else f"{last}."])
