"""Words of others, made fit to be shown."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"  # invisible, and needed within words and emoji


def harmless(text: str) -> str:
    """`text` such that a terminal can only show it.

    Whatever would move the cursor, change colours or the direction of writing, or cannot be encoded, is shown as it
    would be written in Python.

    Examples
    --------
    >>> print(harmless("a\x1b[31mb"))
    a\x1b[31mb
    """
    return "".join(char if char.isprintable() or char in _JOINERS else ascii(char)[1:-1] for char in text)


def on_one_line(text: str) -> str:
    """`text` made harmless, with single spaces in place of its white space."""
    return harmless(" ".join(text.split()))
