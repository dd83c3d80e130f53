"""Terminal escape sequences are taken out of text as it arrives, in pieces cut anywhere.

The forms of ECMA-48, in 7 and in 8 bits: CSI (colours, cursor), OSC, DCS, SOS, PM and APC strings (titles, links,
images), SS2 and SS3 (keys), and ESC with one character. A string ends at ST or BEL, and at the end of its line, so that
one that was never ended does not swallow the text after it. Other control characters are left out, too; those that are
white space stay.
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
    """Gives the text of each piece without the sequences, which may go on from piece to piece."""

    def __init__(self) -> None:
        self._state: _State = "text"

    def feed(self, piece: str) -> str:
        """`piece` without what is not text."""
        if self._state == "text" and not _CONTROL.search(piece):
            return piece
        return "".join(char for char in piece if self._is_text(char))

    def _is_text(self, char: str) -> bool:
        state, self._state = self._state, "text"
        if char == "\x1b":  # also the first half of ST, whose second half is a sequence of its own
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
