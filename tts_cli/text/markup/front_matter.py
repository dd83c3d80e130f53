"""Removes front matter: settings between `---` (YAML) or `+++` (TOML) at the beginning of Markdown."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 16_384
"""The most characters of front matter. If it has no end after so many, it is text."""

_OPENING: Final = re.compile(r"\s*(---|\+\+\+)[ \t]*\n(?=[\w\"'-]+[ \t]*[:=]|#|\[)")
_OPEN: Final = re.compile(r"\s*(?:-{0,3}|\+{0,3}|(?:---|\+\+\+)[ \t]*(?:\n[\w\"'-]*[ \t]*)?)\Z")
_CLOSING: Final = {"---": re.compile(r"\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)"), "+++": re.compile(r"\n\+\+\+[ \t]*(?:\n|\Z)")}


class FrontMatter:
    """Removes the front matter at the beginning of a text that arrives in pieces.

    Examples
    --------
    >>> front = FrontMatter()
    >>> front.feed("---\\ntitle: A day\\n---\\nIt rains.")
    'It rains.'
    """

    def __init__(self) -> None:
        self._held = ""
        self._over = False

    def feed(self, piece: str) -> str:
        """The text after front matter, as far as it is known."""
        if self._over:
            return piece
        self._held += piece
        return self._known(final=False)

    def finish(self) -> str:
        """The rest of the text. Afterwards the filter is as new."""
        rest = self._known(final=True)
        self._over = False
        return rest

    def _known(self, final: bool) -> str:
        open_end = not final and len(self._held) < LONGEST
        text = self._held
        if opening := _OPENING.match(text):
            closing = _CLOSING[opening[1]].search(text, opening.end() - 1, LONGEST)
            if closing and (closing[0].endswith("\n") or not open_end):
                text = text[closing.end() :]
            elif open_end:
                return ""
        elif open_end and _OPEN.match(text):
            return ""
        self._held, self._over = "", True
        return text
