"""Text sources: they read an argument, a file, a pipe or a terminal, and give sentences.

`ReadyText` reads text that is there already, when a sentence is asked for. `LiveText` reads text that arrives, in a
thread of its own. So a sentence can be spoken while the next one is being written, and it is known when no text is
there for now. Neither reads much further than `AHEAD` characters ahead. A program that writes faster than speech must
wait, as at any full pipe.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final, Protocol

from tts_cli.errors import UsageError
from tts_cli.segment import MAX_CHARS, Sentence
from tts_cli.text.decoding import READ_BYTES, checked, text_of
from tts_cli.text.idle import IDLE_SECONDS
from tts_cli.text.live import LiveText
from tts_cli.text.markup.reading import DEFAULT, Reading
from tts_cli.text.sentence_queue import AHEAD, SentenceQueue
from tts_cli.text.stream import SpeakableSentences

CHECKED_BYTES: Final = 65_536
"""How much of a file is checked to be text before any of it is spoken."""


class TextSource(Protocol):
    """Gives the sentences of one text, in order."""

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:
        """The next sentence, or None at the end.

        Parameters
        ----------
        pending
            Called before text is waited for.

        Raises
        ------
        TTSError
            If the text ended early because of an error, after the sentences before that place.
        """
        ...

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """The next sentence, if it is there already and `fits` accepts it; otherwise None."""
        ...

    @property
    def waiting_characters(self) -> int:
        """Characters of the sentences that are known and were not taken yet."""
        ...

    def close(self) -> None:
        """Give no more sentences. A call that waits for one returns None."""
        ...


class ReadyText:
    """Text that is there already. It is read as it is needed.

    Parameters
    ----------
    pieces
        The text.
    reading
        How to read it.

    Raises
    ------
    TTSError
        If there is an error before the first sentence, or no sentence at all.

    Examples
    --------
    >>> text = ReadyText(iter(["It rains. ", "It pours."]))
    >>> text.next_sentence(lambda: None).text
    'It rains.'
    """

    def __init__(self, pieces: Iterator[str], reading: Reading = DEFAULT) -> None:
        self._pieces = pieces
        self._sentences = SpeakableSentences(MAX_CHARS, reading.markup())
        self._ahead = SentenceQueue()
        self._ended = False
        self._error: Exception | None = None
        self._closed = False
        self._read()
        if self._error is not None and not self._ahead:
            raise self._error

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:  # noqa: ARG002  nothing to wait for
        """See `TextSource.next_sentence`. It never waits."""
        self._read()
        if self._closed:
            return None
        if self._error is not None and not self._ahead:
            raise self._error
        return self._ahead.take()

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """See `TextSource.join_next`."""
        self._read()
        return None if self._closed else self._ahead.take(fits)

    def _read(self) -> None:
        try:
            while self._ahead.characters < AHEAD and not self._ended and not self._closed:
                piece = next(self._pieces, None)
                self._ended = piece is None
                self._ahead.add(self._sentences.finish() if piece is None else self._sentences.feed(piece))
        except Exception as error:  # noqa: BLE001  `next_sentence` raises it
            self._ended, self._error = True, error
            self._ahead.add(self._sentences.rest())

    @property
    def waiting_characters(self) -> int:
        """See `TextSource.waiting_characters`."""
        return self._ahead.characters

    def close(self) -> None:
        """Give no more sentences, so that `simple` mode does not compute the rest of a cancelled text."""
        self._closed = True


def text_argument(text: str, reading: Reading = DEFAULT) -> ReadyText:
    """A text that is given as a str. Raises `UsageError` or `NothingToSayError` if it cannot be spoken."""
    text = checked(text)
    return ReadyText((text[start : start + READ_BYTES] for start in range(0, len(text), READ_BYTES)), reading)


def text_file(path: Path, idle: float = IDLE_SECONDS, reading: Reading = DEFAULT) -> TextSource:
    """The text of a file, read as it is spoken, or of a named pipe, read as it arrives.

    Parameters
    ----------
    path
        The file or the pipe.
    idle
        For a pipe; see `LiveText`.
    reading
        How to read the text. A file named `.md` or `.markdown` is Markdown if the format is `auto`.

    Returns
    -------
    TextSource
        A `ReadyText` for a file, a `LiveText` for a pipe.

    Raises
    ------
    UsageError
        If it cannot be opened.
    TextError
        If the beginning of a file is not UTF-8 text.
    """
    pieces, regular = file_pieces(path)
    reading = reading.of_file(path)
    return ReadyText(_begun(pieces), reading) if regular else LiveText(pieces, idle, reading=reading)


def text_stdin(idle: float = IDLE_SECONDS, reading: Reading = DEFAULT) -> TextSource:
    """The text of standard input.

    A file is read as it is spoken, and a pipe as it arrives. A line that is typed is spoken when it ends. `idle` is
    described in `LiveText`. Raises `UsageError` if standard input is closed or a directory.
    """
    pieces, regular = stdin_pieces()
    if regular:
        return ReadyText(_begun(pieces), reading)
    return LiveText(pieces, idle, by_line=os.isatty(0), reading=reading)


def file_pieces(path: Path) -> tuple[Iterator[str], bool]:
    """The text of a file or a named pipe, and whether it is all there. Raises `UsageError` if it cannot be opened."""
    try:
        handle = path.open("rb", buffering=0)
        regular = stat.S_ISREG(os.fstat(handle.fileno()).st_mode)
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a directory", "give a text file") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "check its name and its rights") from error
    return text_of(handle, str(path)), regular


def stdin_pieces() -> tuple[Iterator[str], bool]:
    """The text of standard input, and whether it is all there. Raises `UsageError` if nothing can be read there."""
    try:
        mode = os.fstat(0).st_mode
    except OSError as error:
        raise UsageError("standard input is closed", "give the text as an argument or with -f FILE") from error
    if stat.S_ISDIR(mode):
        raise UsageError("standard input is a directory", "pipe text into it")
    return text_of(io.FileIO(0, closefd=False), "standard input"), stat.S_ISREG(mode)


def _begun(pieces: Iterator[str]) -> Iterator[str]:
    """The same pieces, after the first `CHECKED_BYTES` were read and found to be text."""
    return chain(list(islice(pieces, CHECKED_BYTES // READ_BYTES + 1)), pieces)
