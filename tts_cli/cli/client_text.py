"""The text that `tts client` sends: whole, or in pieces while it arrives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tts_cli.cli.streams import is_open
from tts_cli.errors import UsageError


def whole_or_pieces(text: str | None, file: Path | None) -> str | Iterator[str]:
    """A text as a str, or the pieces of one that a pipe or a terminal writes.

    Parameters
    ----------
    text
        The argument; None or "-" for standard input.
    file
        A file to read instead.

    Raises
    ------
    UsageError
        If there are both, the input cannot be opened, or a whole text is too long for a server.
    TextError
        If a whole text is not UTF-8 text.
    """
    from tts_cli.text.decoding import checked
    from tts_cli.text.sources import file_pieces, stdin_pieces

    if file is not None and str(file) != "-":
        if text is not None:
            raise UsageError("there is a text and a file to read", "give one of them")
        pieces, regular = file_pieces(file)
    elif text is not None and text != "-":
        return checked(text)
    else:
        if not is_open(0):
            raise UsageError("standard input is closed", "give the text as an argument or with -f FILE")
        if sys.stdin is not None and sys.stdin.isatty():
            print("Type a line and press Enter to hear it; Ctrl-D ends.", file=sys.stderr)  # noqa: T201
        pieces, regular = stdin_pieces()
    return _whole(pieces) if regular else pieces


def _whole(pieces: Iterator[str]) -> str:
    from tts_cli.server.request import TEXT_CHARACTERS, too_long

    text = ""
    for piece in pieces:
        text += piece
        if len(text) > TEXT_CHARACTERS:
            raise too_long()
    return text
