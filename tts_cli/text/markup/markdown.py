"""Reads Markdown as it arrives, and gives what is spoken: block by block, and sentence by sentence where possible.

A block is given as soon as the next line shows that it is complete. A paragraph that is still being written is given up
to the end of a sentence, if no emphasis, link or code is open there (`cuts`), so that nothing that follows can change
its meaning. markdown-it-py decides which blocks there are (`blocks`). Whenever a line or a sentence has arrived, it
reads the text again from the beginning of the last block or list item.

Memory is bounded. Of a long block, only the lines that show its kind are stored: the fence of a code block, the head of
a table. After `LONGEST` characters or `MOST_LINES` lines of a list item or a quotation, the next line is read as the
beginning of a new text.
"""

from __future__ import annotations

import io
import re
from os.path import commonprefix
from typing import Final

from tts_cli.text.markup.blocks import Block, BlockReader, Parsed
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.cuts import Cut, known_until, next_point
from tts_cli.text.markup.ends import ends_blank, is_hidden, is_over, may_be_closed
from tts_cli.text.markup.front_matter import FrontMatter
from tts_cli.text.markup.stage import BLOCK, Passage
from tts_cli.text.pauses import Patience

LONGEST: Final = 32_768
"""The most characters of a list item or a quotation that are read as one block."""
MOST_LINES: Final = 200
"""The most lines of a list item or a quotation that are read as one block."""
LONG: Final = 256
"""A paragraph with more characters is not stored as a whole."""
OPEN: Final = 2000
"""How many characters of a paragraph may wait for the other half of a mark."""

_ONLY_MARKS: Final = re.compile(r"[\s>*+\-#=_~`:|\d.)(]*\Z")
_FOOTNOTE_TEXT: Final = re.compile(r"(\A|\n)\[\^[^\s\[\]]+\]:[ \t]*")
_CODE: Final = ("code", "indented")


class Markdown:
    """Gives what is spoken of Markdown. The result does not depend on how the text was cut into pieces.

    Parameters
    ----------
    code
        What to do with code blocks; see `Reading`.

    Examples
    --------
    >>> markdown = Markdown("announce")
    >>> known = markdown.feed("# A *new* day\\n\\n1. [Rise](https://example.com)\\n2. Shine\\n") + markdown.finish()
    >>> "".join(passage.text for passage in known).split()
    ['A', 'new', 'day', '1.', 'Rise', '2.', 'Shine']
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._front = FrontMatter()
        self._reset()

    def _reset(self) -> None:
        self._reader = BlockReader(self._code)
        self._text = ""  # the text from the beginning of the last block
        self._at = 0  # how much of it was read
        self._number: int | None = None  # the number of the list item with which it begins
        self._blank = False  # whether there is a blank line before it
        self._given = 0  # how many of its blocks were given
        self._content = ""  # the content of the next block that was given
        self._begun = False

    def feed(self, piece: str) -> list[Passage]:
        """See `Markup.feed`."""
        passages: list[Passage] = []
        for start in range(0, len(piece), BLOCK):
            self._text += self._front.feed(self._newlines.decode(piece[start : start + BLOCK]))
            while (point := next_point(self._text, self._at)) is not None:
                passages += self._read(point)
        return passages

    def pause(self, patience: Patience) -> list[Passage]:
        """See `Markup.pause`.

        After the pause for words, text in an emphasis that is still open is given, too; after the last pause, all text.
        """
        end = len(self._text) if self._is_settled(self._text) else self._text.rfind("\n") + 1
        blocks = self._reader.read(self._text[:end], self._number).blocks
        if len(blocks) <= self._given:
            return []
        passages = self._give(blocks[:-1])
        last = blocks[-1]
        if last.kind in ("text", "heading"):
            cut = self._known(last, followed=False)
            until = cut.at
            if patience == "all":
                until = len(last.content)
            elif patience == "words" and cut.waits_for[:1] in ("*", "_", "~"):
                until = max(until, _last_space(last.content))
            passages += self._give_part(last, until)
        elif patience == "all" and last.kind in ("row", *_CODE):
            passages += self._give_part(last, len(last.content))
        return passages

    def finish(self) -> list[Passage]:
        """See `Markup.finish`."""
        self._text += self._front.feed(self._newlines.decode("", final=True)) + self._front.finish()
        passages: list[Passage] = []
        while (point := next_point(self._text, self._at)) is not None:
            passages += self._read(point)
        passages += self._give(self._reader.read(self._text, self._number).blocks)
        self._newlines.reset()
        self._reset()
        return passages

    def _read(self, end: int) -> list[Passage]:
        """Read the text up to `end`, and give what is known of it."""
        self._at = end
        text = self._text[:end]
        is_line = text.endswith("\n")
        is_long = len(text) > (LONGEST if text.strip() else LONG) or text.count("\n") > MOST_LINES
        if not is_long and not is_line and not self._is_settled(text):
            return []
        parsed = self._reader.read(text, self._number)
        if is_long:
            passages = self._give(parsed.blocks)
            self._given = 0
            self._keep("", text)
            return passages
        passages = self._give_known(parsed, text) if len(parsed.blocks) > self._given else []
        before = sum(block.line < parsed.begin for block in parsed.blocks)
        if self._given >= before:
            self._given -= before
            self._forget(parsed, text, is_line)
        return passages

    def _is_settled(self, text: str) -> bool:
        """Whether the last line of `text` has more than marks, which shows what kind of block it is."""
        return _ONLY_MARKS.match(text, text.rfind("\n") + 1) is None

    def _give_known(self, parsed: Parsed, text: str) -> list[Passage]:
        blocks = parsed.blocks
        last = blocks[-1]
        is_line = text.endswith("\n")
        is_text = last.kind in ("text", "heading")
        is_whole = last.line < parsed.begin or (last.kind in ("text", "columns") and ends_blank(text))
        if is_line and (is_whole or last.kind in ("heading", "row") or is_over(parsed, text)):
            return self._give(blocks)
        if not is_text and not is_line:
            return []
        passages = self._give(blocks[:-1])
        if not is_text:
            return passages + (self._give_part(last, len(last.content)) if last.kind in _CODE else [])
        until = self._known(last, followed=text[-1].isspace()).at
        if len(last.content) - until > OPEN:
            until = max(until, _last_space(last.content)) if " " in last.content[until:] else len(last.content)
        passages += self._give_part(last, until)
        if until == len(last.content) and passages and text[-1].isspace():
            passages.append(Passage(" "))
        return passages

    def _known(self, block: Block, followed: bool) -> Cut:
        """How much of the next block, a paragraph or a heading, has the same meaning whatever follows."""
        content, common = block.content, len(self._common(block))
        line = content.rfind("\n") + 1
        if "|" in content[line:]:  # it may be the head of a table
            content = content[:line].rstrip()
        return known_until(content, common, followed) if common <= len(content) else Cut(common)

    def _give(self, blocks: list[Block]) -> list[Passage]:
        """All of `blocks` that was not given yet."""
        passages: list[Passage] = []
        for block in blocks[self._given :]:
            passages += self._give_part(block, len(block.content))
            if self._begun:
                passages += [Passage("", ended=True), Passage("\n")]
            self._given, self._content, self._begun = self._given + 1, "", False
        return passages

    def _give_part(self, block: Block, until: int) -> list[Passage]:
        """The first `until` characters of the next block, without those that were given."""
        common = self._common(block)
        source = block.content[len(common) : until]
        if not source.strip():
            return [Passage(source)] if block.kind in _CODE and self._begun else []
        passages = [] if self._begun else self._beginning(block)
        self._content, self._begun = block.content[:until], True
        if block.kind in ("text", "heading"):
            spoken = self._reader.spoken(_FOOTNOTE_TEXT.sub(lambda found: found[1] and "\\\n", source))
        else:
            spoken = source
        *lines, rest = spoken.split("\n")
        for line in lines:
            passages += [Passage(line, ended=True), Passage("\n")]
        return [*passages, Passage(rest)]

    def _beginning(self, block: Block) -> list[Passage]:
        before = self._text.split("\n", block.line)[:-1] if block.line else []
        blank = not before[-1].strip(" \t>") if before else self._blank
        passages = [] if block.follows and not blank else [Passage("\n")]
        return [*passages, Passage(f"{block.number} ")] if block.number else passages

    def _common(self, block: Block) -> str:
        """The content of the next block that was given. More text may have changed what the block is."""
        if block.content.startswith(self._content):
            return self._content
        return commonprefix([self._content, block.content])  # noqa: RUF071  these are texts, not paths

    def _forget(self, parsed: Parsed, text: str, is_line: bool) -> None:
        """Remove the text that is not needed to read on."""
        if is_line and not self._begun and is_over(parsed, text):
            self._given = 0
            self._keep("", text, blank=ends_blank(text))
            return
        lines = text.split("\n", parsed.begin)
        kept = lines[-1]
        blank = not lines[-2].strip(" \t>") if parsed.begin else self._blank
        number = parsed.number if parsed.begin else self._number
        if is_line or self._begun:
            kept = self._shortened(parsed, kept, is_line)
        self._keep(kept, text, number, blank)

    def _shortened(self, parsed: Parsed, text: str, is_line: bool) -> str:
        """`text`, a single block, without what is not needed to read on."""
        if not parsed.blocks:
            last_line = text[text.rfind("\n", 0, -1) + 1 :]
            return last_line if is_line and last_line.startswith("[") else text
        last = parsed.blocks[-1]
        if self._begun and last.kind in ("text", "heading") and last.quotations is not None:
            return self._shortened_paragraph(last, text, is_line) if len(text) > LONG else text
        if not is_line:
            return text
        first = text[: text.find("\n") + 1]
        if last.kind == "code":
            lines = text.split("\n")
            opening = last.line - parsed.begin
            if not may_be_closed(lines[opening + 1 :]):
                self._content = ""
                return "\n".join([*lines[: opening + 1], ""])
            return text
        if parsed.top == "code_block" and not ends_blank(text):
            self._content = self._reader.read(first).blocks[-1].content if self._begun else ""
            return first
        if parsed.top == "html_block" and is_hidden(first, text):
            return first[:LONG].rstrip("\n") + "\n"
        if parsed.top == "table_open" and last.kind == "row":
            self._given = 1
            lines = text.split("\n")
            return "\n".join([*lines[:2], lines[-2], ""])
        return text

    def _shortened_paragraph(self, block: Block, text: str, is_line: bool) -> str:
        """A paragraph in which one letter replaces what was given."""
        assert block.quotations is not None
        begin = ">" * block.quotations + " " * (block.quotations > 0)
        rest = block.content[len(self._common(block)) :].replace("\n", f"\n{begin}")
        space = "\n" if is_line else " " if text[-1].isspace() else ""
        self._given, self._content = 0, "X"
        return f"{begin}{'# ' if block.kind == 'heading' else ''}X{rest}{space}"

    def _keep(self, kept: str, text: str, number: int | None = None, blank: bool = False) -> None:
        """Replace `text`, which was read, by `kept`."""
        self._text = kept + self._text[len(text) :]
        self._at, self._number, self._blank = len(kept), number, blank


def _last_space(text: str) -> int:
    return max(text.rfind(" "), text.rfind("\n"), 0)
