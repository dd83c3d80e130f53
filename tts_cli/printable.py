"""Text from outside (file names, texts, messages), changed so that it is safe to print."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"  # invisible; words and emoji need them


def harmless(text: str) -> str:
    r"""`text` without characters that control a terminal.

    Characters that move the cursor, change colours or the direction of writing, or cannot be encoded are replaced by
    their Python escapes.

    Examples
    --------
    >>> print(harmless("a\x1b[31mb"))
    a\x1b[31mb
    """
    return "".join(char if char.isprintable() or char in _JOINERS else ascii(char)[1:-1] for char in text)


def on_one_line(text: str) -> str:
    """`text` made harmless, with single spaces instead of its white space."""
    return harmless(" ".join(text.split()))
