"""The text that a caller of the Python API gives: whole, or in pieces as they are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from tts_cli.checks import instance
from tts_cli.text.idle import IDLE_SECONDS
from tts_cli.text.live import LiveText
from tts_cli.text.markup.reading import DEFAULT, Reading
from tts_cli.text.sources import ReadyText, TextSource, text_argument

Text: TypeAlias = str | Iterable[str]
"""A whole text, or an iterable of its pieces. Complete sentences are spoken while the next piece is awaited."""


def checked_text(text: Text | ReadyText, reading: Reading = DEFAULT) -> ReadyText | Iterable[str]:
    """Check a text before anything is loaded for it.

    Parameters
    ----------
    text
        A whole text, or an iterable of its pieces. Of pieces, only the type of the iterable is checked.
    reading
        How to read a whole text.

    Returns
    -------
    ReadyText or iterable of str
        What `source_of` takes.

    Raises
    ------
    UsageError
        If it is neither a str nor an iterable.
    NothingToSayError
        If a whole text holds no letter and no digit.

    Examples
    --------
    >>> checked_text("Hello.").waiting_characters
    6
    """
    if isinstance(text, str):
        return text_argument(text, reading)
    if isinstance(text, bytes) or not isinstance(text, ReadyText | Iterable):
        instance("text", text, str, "a str or an iterable of str")
    return text


def source_of(text: ReadyText | Iterable[str], reading: Reading = DEFAULT) -> TextSource:
    """The text source of a checked text. Pieces are read in a thread of their own, as `reading` says."""
    return text if isinstance(text, ReadyText) else LiveText(iter(text), IDLE_SECONDS, reading=reading)
