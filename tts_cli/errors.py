"""The errors of this package. The module imports nothing, so every layer can raise them.

    TTSError                1  something failed while working
    ├── UsageError          2  the request cannot be carried out as written
    │   ├── NothingToSayError 2  the text holds nothing that can be spoken
    │   └── TextError       2  the text cannot be read to its end
    ├── SegmentError        1  an engine failed on a piece of the text
    ├── UnspokenError       1  some of the text could not be spoken, the rest was
    ├── MissingError        3  this machine lacks something: weights, a package, an audio device
    ├── OutputError         1  the sound could not be delivered: disk full, closed pipe, lost device
    └── ModelError          1  weights or a voice file are damaged or do not fit

The number is the exit code. `cli` prints `message` and `remedy` on standard error, in one line.
"""

from __future__ import annotations

__all__ = [
    "MissingError",
    "ModelError",
    "NothingToSayError",
    "OutputError",
    "SegmentError",
    "TTSError",
    "TextError",
    "UnspokenError",
    "UsageError",
    "beginning",
]


class TTSError(Exception):
    """An error that a user can act on.

    Parameters
    ----------
    message
        What is wrong.
    remedy
        What to do about it; may be empty.

    Examples
    --------
    >>> str(TTSError("there is no voice 'x'", "choose another"))
    "there is no voice 'x'; choose another"
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(TTSError):
    """The request is wrong: an unknown name, unreadable input, options that contradict each other."""

    exit_code = 2


class NothingToSayError(UsageError):
    """The text holds no letter and no digit, so no engine could speak it."""


class TextError(UsageError):
    """The text cannot be read to its end. The part before that place is spoken."""


def beginning(text: str) -> str:
    """The first 60 characters of a text, for a message."""
    return text if len(text) <= 60 else f"{text[:60]}…"


class SegmentError(TTSError):
    """An engine failed on a piece of the text.

    Parameters
    ----------
    text
        The whole piece. The message shows its beginning.
    cause
        The exception that the engine raised.
    """

    def __init__(self, text: str, cause: Exception) -> None:
        known = isinstance(cause, TTSError)
        super().__init__(f"cannot speak {beginning(text)!r}: {cause if known else f'{type(cause).__name__}: {cause}'}")
        self.text = text


class UnspokenError(TTSError):
    """Some of the text could not be spoken.

    Parameters
    ----------
    failures
        The error of each piece, in order.
    rest_spoken
        Whether some of the text was spoken.
    """

    def __init__(self, failures: list[SegmentError], rest_spoken: bool) -> None:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        super().__init__(f"{failures[0].message}{more}", "the rest of the text was spoken" if rest_spoken else "")
        self.failures = failures
        self.rest_spoken = rest_spoken


class MissingError(TTSError):
    """This machine lacks something. `remedy` is the command that installs it."""

    exit_code = 3


class OutputError(TTSError):
    """Sound was computed but could not be delivered."""


class ModelError(TTSError):
    """A model or voice file is damaged, or its tensors do not have the expected shapes."""
