"""Where text comes from: an argument, a file, a pipe or a terminal; always as sentences, and never far ahead.

Text at hand (`ReadyText`) is read and split as it is asked for. Text that arrives (`LiveText`) is read in a thread, so
that a sentence can be spoken while the next one is still being written, and so that we know when there is nothing to
say for now. Neither is read much further than `AHEAD` characters before what is spoken: whoever writes faster than we
speak has to wait, as at any full pipe.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final, Protocol

from tts_cli.errors import UsageError
from tts_cli.segment import MAX_CHARS, Sentence
from tts_cli.text.decoding import READ_BYTES, checked, text_of
from tts_cli.text.idle import IDLE_SECONDS, Idle
from tts_cli.text.stream import SpeakableSentences

AHEAD: Final = 6000
"""Characters of sentences that wait to be spoken, from which no more are read: some minutes of sound."""
CHECKED_BYTES: Final = 65_536
"""So much of a file must be text before any of it is spoken."""


class TextSource(Protocol):
    """Sentences, in order."""

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:
        """The next sentence, or None at the end. Calls `pending` before it waits for text to arrive.

        Raises what ended the text early, after the sentences before that.
        """
        ...

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """The next sentence if it is here already and fits, else None."""
        ...

    @property
    def waiting_characters(self) -> int:
        """Characters of the sentences that are known and not yet taken."""
        ...

    def close(self) -> None:
        """Give no more: whoever waits for a sentence, or asks for one, gets None."""
        ...


class _Ahead:
    """Sentences that are known and not yet taken."""

    def __init__(self) -> None:
        self._sentences: deque[Sentence] = deque()
        self.characters = 0

    def __bool__(self) -> bool:
        return bool(self._sentences)

    def add(self, sentences: list[Sentence]) -> None:
        self._sentences.extend(sentences)
        self.characters += sum(len(sentence.text) for sentence in sentences)

    def take(self, fits: Callable[[Sentence], bool] = lambda _: True) -> Sentence | None:
        """The first of them, if there is one and it fits."""
        if not self._sentences or not fits(self._sentences[0]):
            return None
        sentence = self._sentences.popleft()
        self.characters -= len(sentence.text)
        return sentence


class ReadyText:
    """Text that is all here, read as far ahead as it must be. Raises what ends it before its first sentence."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._sentences = SpeakableSentences(MAX_CHARS)
        self._ahead = _Ahead()
        self._ended = False
        self._error: Exception | None = None
        self._closed = False
        self._read()
        if self._error is not None and not self._ahead:
            raise self._error

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:  # noqa: ARG002  nothing to wait for
        """The next sentence, or None at the end."""
        self._read()
        if self._closed:
            return None
        if self._error is not None and not self._ahead:
            raise self._error
        return self._ahead.take()

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """The next sentence if it fits."""
        self._read()
        return None if self._closed else self._ahead.take(fits)

    def _read(self) -> None:
        try:
            while self._ahead.characters < AHEAD and not self._ended and not self._closed:
                piece = next(self._pieces, None)
                self._ended = piece is None
                self._ahead.add(self._sentences.finish() if piece is None else self._sentences.feed(piece))
        except Exception as error:  # noqa: BLE001  raised where the sentences before it have been taken
            self._ended, self._error = True, error
            self._ahead.add(self._sentences.rest())

    @property
    def waiting_characters(self) -> int:
        """Characters already split and not yet taken."""
        return self._ahead.characters

    def close(self) -> None:
        """Give no more, or `simple` mode would compute the rest of a text that nobody wants to hear."""
        self._closed = True


class LiveText:
    """Text that arrives.

    Parameters
    ----------
    pieces
        The text; may block, and is read in a thread of its own.
    idle
        Seconds without new text after which what has arrived is spoken, as `Idle` has it; 0 for never.
    by_line
        Whether every line that was entered is spoken at once.
    clock
        Tells the time in seconds, and never goes back.
    """

    def __init__(
        self,
        pieces: Iterator[str],
        idle: float = 0.0,
        by_line: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pieces = pieces
        self._clock = clock
        self._idle = Idle(idle, clock())
        self._by_line = by_line
        self._sentences = SpeakableSentences(MAX_CHARS)
        self._ahead = _Ahead()
        self._ended = False
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above
        # A daemon: nothing can interrupt a read from a pipe that nobody writes to.
        threading.Thread(target=self._read, name="read text", daemon=True).start()

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            for piece in self._pieces:
                if not self._take_in(piece):
                    return
            with self._changed:
                self._ahead.add(self._sentences.finish())
        except BaseException as caught:  # noqa: BLE001  raised again where the text is asked for
            error = caught
        with self._changed:
            self._ended, self._error = True, error
            self._ahead.add(self._sentences.rest())
            self._changed.notify_all()

    def _take_in(self, piece: str) -> bool:
        """Split `piece` and wait until more is wanted; False if nothing is, any more."""
        with self._changed:
            self._ahead.add(self._sentences.feed(piece))
            if self._by_line and piece.endswith("\n"):
                self._ahead.add(self._sentences.pause("all"))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._ahead.characters < AHEAD)
            self._idle.arrived(self._clock())
            return not self._closed

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:
        """The next sentence; waits for it, after calling `pending`. Raises what ended the reading early."""
        with self._changed:
            must_wait = self._must_wait()
        if must_wait:
            pending()
        with self._changed:
            while self._must_wait():
                self._wait()
            if self._closed:
                return None
            if self._error is not None and not self._ahead:
                raise self._error
            return self._take()

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """The next sentence if it has arrived and fits."""
        with self._changed:
            return None if self._closed else self._take(fits)

    def _take(self, fits: Callable[[Sentence], bool] = lambda _: True) -> Sentence | None:
        sentence = self._ahead.take(fits)
        self._changed.notify_all()
        return sentence

    def _must_wait(self) -> bool:
        return not (self._ahead or self._ended or self._closed)

    def _wait(self) -> None:
        """Until something has changed, or the writer has paused for so long that some of the rest can be spoken."""
        now = self._clock()
        if patience := self._idle.take(now):
            self._ahead.add(self._sentences.pause(patience))
        else:
            self._changed.wait(self._idle.left(now))

    @property
    def waiting_characters(self) -> int:
        """Characters that have arrived and were not yet taken."""
        return self._ahead.characters

    def close(self) -> None:
        """Give no more, and end the waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def text_argument(text: str) -> ReadyText:
    """Text given on the command line."""
    text = checked(text)
    return ReadyText(text[start : start + READ_BYTES] for start in range(0, len(text), READ_BYTES))


def text_file(path: Path, idle: float = IDLE_SECONDS) -> TextSource:
    """Text in a file, read as it is spoken; a named pipe is read as it comes.

    Raises `UsageError` for what cannot be opened, and `TextError` where its beginning is not UTF-8 text.
    """
    try:
        handle = path.open("rb", buffering=0)
        regular = stat.S_ISREG(os.fstat(handle.fileno()).st_mode)
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a directory", "give a text file") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "check its name and its rights") from error
    pieces = text_of(handle, str(path))
    return ReadyText(_begun(pieces)) if regular else LiveText(pieces, idle)


def text_stdin(idle: float = IDLE_SECONDS) -> TextSource:
    """Text from standard input: as it arrives, each line at once where it is typed, or as a file where it is one."""
    try:
        mode = os.fstat(0).st_mode
    except OSError as error:
        raise UsageError("standard input is closed", "give the text as an argument or with -f FILE") from error
    if stat.S_ISDIR(mode):
        raise UsageError("standard input is a directory", "pipe text into it")
    pieces = text_of(io.FileIO(0, closefd=False), "standard input")
    if stat.S_ISREG(mode):
        return ReadyText(_begun(pieces))
    return LiveText(pieces, idle, by_line=os.isatty(0))


def _begun(pieces: Iterator[str]) -> Iterator[str]:
    """The same text, of which the first `CHECKED_BYTES` are known to be text now."""
    return chain(list(islice(pieces, CHECKED_BYTES // READ_BYTES + 1)), pieces)
