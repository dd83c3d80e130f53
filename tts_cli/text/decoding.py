"""Decodes bytes as they are read. An error names the position of the first byte that is not text."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import chain
from typing import Final

from tts_cli.errors import TextError, UsageError

READ_BYTES: Final = 4096
"""Bytes that are read at a time: enough to be fast, and few enough to be split into sentences between two chunks."""


def text_of(file: io.FileIO, name: str) -> Iterator[str]:
    """The text of a file, piece by piece.

    Parameters
    ----------
    file
        The file. It is closed at the end.
    name
        What error messages call it.

    Yields
    ------
    str
        As many characters as one read gave.

    Raises
    ------
    TextError
        After the text before that place, if the file cannot be read or is not UTF-8 text.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    read = 0
    for piece in chain(_reads(file, name), [b""]):
        start = read - len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            yield error.object[: error.start].decode()
            raise _not_text(name, start + error.start) from error
        before, nul, _ = text.partition("\0")
        if nul:
            yield before
            raise _not_text(name, start + len(before.encode()))
        read += len(piece)
        yield text


def checked(text: str) -> str:
    """`text`. Raises `UsageError` if it holds bytes that the command line could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("the text is not valid UTF-8", "check the terminal's encoding: it should be UTF-8") from error
    return text


def _reads(file: io.FileIO, name: str) -> Iterator[bytes]:
    with file:
        try:
            while data := file.read(READ_BYTES):
                yield data
        except OSError as error:
            raise TextError(f"cannot read {name}: {error.strerror}", "is it still there?") from error


def _not_text(name: str, position: int) -> TextError:
    return TextError(f"{name} is not UTF-8 text (byte {position})", "convert it first: iconv -t UTF-8")
