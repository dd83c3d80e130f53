"""Removes terminal escape sequences from text that arrives in pieces.

The sequences are those of ECMA-48, in their 7-bit and 8-bit forms: CSI (colours, cursor); OSC, DCS, SOS, PM and APC
strings (titles, links, images); SS2 and SS3 (keys); ESC with one character. A string ends at ST or BEL. It also ends at
the end of its line, so that an unfinished string does not remove the text after it. Other control characters are
removed, too, except white space.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

_State: TypeAlias = Literal["text", "escape", "control", "single", "string"]

# The second characters of 7-bit sequences; the 8-bit form of each is 64 code points after it.
_INTRODUCERS: Final[dict[str, _State]] = {
    "[": "control",
    "N": "single",
    "O": "single",
    **dict.fromkeys("PX]^_", "string"),
}
_LINE_ENDS: Final = "\n\r\v\f\x85\u2028\u2029"
_SPACES: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


class EscapeFilter:
    r"""Removes escape sequences from the pieces of a text. A sequence may continue in the next piece.

    Examples
    --------
    >>> escapes = EscapeFilter()
    >>> escapes.feed("a\x1b[3"), escapes.feed("1mb")
    ('a', 'b')
    """

    def __init__(self) -> None:
        self._state: _State = "text"

    def feed(self, piece: str) -> str:
        """`piece` without escape sequences and control characters."""
        if self._state == "text" and not _CONTROL.search(piece):
            return piece
        return "".join(char for char in piece if self._is_text(char))

    def _is_text(self, char: str) -> bool:
        state, self._state = self._state, "text"
        if char == "\x1b":  # also the first half of ST; the second half then counts as a sequence
            self._state = "escape"
        elif "\x80" <= char <= "\x9f" and char != "\x85":
            self._state = _INTRODUCERS.get(chr(ord(char) - 64), "text")
        elif char in "\x18\x1a" or char == "\x07":
            pass
        elif state == "string" and char not in _LINE_ENDS:
            self._state = "string"
        elif state == "escape" and " " <= char <= "/":
            self._state = "escape"
        elif state == "escape" and "0" <= char <= "~":
            self._state = _INTRODUCERS.get(char, "text")
        elif state == "control" and " " <= char <= "?":
            self._state = "control"
        elif (state == "control" and "@" <= char <= "~") or (state == "single" and " " <= char <= "~"):
            pass
        else:
            return char in _SPACES or not _CONTROL.match(char)
        return False
