"""Code blocks: where a fence opens and closes, and what is spoken instead of the code."""

from __future__ import annotations

import re
from functools import cache
from typing import Final, Literal, TypeAlias

Code: TypeAlias = Literal["skip", "announce", "speak"]

_OPENING: Final = re.compile(r"[ \t]*(?:(`{3,})([^`\n]*)|(~{3,})[ \t]*(\w[^\n]*))\n?")
_NO_LANGUAGE: Final = ("text", "txt", "plain", "plaintext", "none", "output")


class Fence:
    """The opening fence of a code block.

    Parameters
    ----------
    marks
        Its backticks or tildes.
    info
        The words after them.
    """

    def __init__(self, marks: str, info: str = "") -> None:
        self.info = info.strip()
        self._closing = re.compile(rf"[ \t]*{re.escape(marks[0])}{{{len(marks)},}}[ \t]*\n?")

    @classmethod
    def opened_by(cls, line: str) -> Fence | None:
        """The fence in `line`; None if there is none.

        A line of tildes opens a block only if a language follows, because tildes alone may underline a heading.
        """
        found = _OPENING.fullmatch(line)
        return cls(found[1] or found[3], found[2] or found[4] or "") if found else None

    def is_closed_by(self, line: str) -> bool:
        """Whether `line` closes the block."""
        return self._closing.fullmatch(line) is not None


def announcement(info: str) -> str:
    """The sentence for a code block with the words `info` after its opening fence.

    Examples
    --------
    >>> announcement("py title=example.py")
    'Code block in Python.'
    >>> announcement("")
    'Code block.'
    """
    words = re.findall(r"[^\s{},:=]+", info)
    language = words[0].lstrip(".") if words else ""
    if not any(map(str.isalnum, language)) or language.lower() in _NO_LANGUAGE:
        return "Code block."
    return f"Code block in {_languages().get(language.lower(), language[:40])}."


@cache
def _languages() -> dict[str, str]:
    """The names of programming languages by their short names, from Pygments."""
    from pygments.lexers import get_all_lexers

    return {short.lower(): name for name, shorts, _, _ in get_all_lexers(plugins=False) for short in shorts}
