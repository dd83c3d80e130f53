"""Decides where a block of Markdown ends, so that the lines before that need not be stored."""

from __future__ import annotations

import re
from typing import Final

from tts_cli.text.markup.blocks import Parsed
from tts_cli.text.markup.code import Fence

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_MAY_CLOSE: Final = re.compile(r"[ \t>]*(?:`{3,}|~{3,})[ \t]*")
_HIDDEN: Final = re.compile(r" {0,3}<(!--|script|style)", re.IGNORECASE)
_BY_BLANK_LINES: Final = ("", "paragraph_open", "heading_open", "table_open")
"""Blocks that a blank line ends. The one without a name are definitions of links."""


def is_over(parsed: Parsed, text: str) -> bool:
    """Whether the last line of `text` ends all open blocks. The next one may be of the same kind."""
    if parsed.top == "hr":
        return True
    if parsed.top == "fence":
        return _is_closed(text.split("\n", parsed.begin)[-1])
    if parsed.top == "blockquote_open":
        last = parsed.blocks[-1] if parsed.blocks else None
        alone = last is None or (last.kind in ("text", "heading") and last.quotations is not None)
        return text.endswith("\n\n") or (alone and ends_blank(text))
    return parsed.top in _BY_BLANK_LINES and ends_blank(text)


def ends_blank(text: str) -> bool:
    """Whether the last line is blank, apart from the marks of quotations."""
    return not _last_line(text).strip(" \t\n>")


def may_be_closed(lines: list[str]) -> bool:
    """Whether one of `lines`, which follow an opening fence, may close it, also in a list item or a quotation."""
    return any(_MAY_CLOSE.fullmatch(line) for line in lines)


def is_hidden(first: str, text: str) -> bool:
    """Whether `text` ends within a comment or a script that its first line opens."""
    opening = _HIDDEN.match(first)
    return opening is not None and ("-->" if opening[1] == "!--" else "</") not in text


def _is_closed(code: str) -> bool:
    """Whether the last line of a code block closes it. The code block is in no other block."""
    first, _, rest = code.partition("\n")
    fence, last = _FENCE.match(first), _last_line(rest)
    return fence is not None and _FENCE.match(last) is not None and Fence(fence[1]).is_closed_by(last)


def _last_line(text: str) -> str:
    return text[text.rfind("\n", 0, -1) + 1 :]
