"""Where text comes from: an argument, a file, a pipe or a terminal; always as sentences.

Text at hand is split as it is asked for. Text that arrives (`LiveText`) is read in a thread, so that a sentence can be
spoken while the next one is still being written, and so that we know when there is nothing to say for now.
"""

from __future__ import annotations

import codecs
import io
import os
import queue
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from tts_cli.engines import MAX_CHARS
from tts_cli.errors import NothingToSayError, TTSError, UsageError
from tts_cli.segment import Sentence
from tts_cli.text import SentenceSplitter, is_speakable

READ_BYTES = 65_536


class TextSource(Protocol):
    """Sentences, in order."""

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:
        """The next sentence, or None at the end. Calls `pending` before it waits for text to arrive."""
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


class ReadyText:
    """Text that is all here, split as far ahead as it must be. Raises `NothingToSayError` where nothing is."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._sentences = _sentences(pieces)
        self._ahead: deque[Sentence] = deque()
        self._closed = False
        self._look_ahead()

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:  # noqa: ARG002  nothing to wait for
        """The next sentence, or None at the end."""
        self._look_ahead()
        return self._ahead.popleft() if self._ahead and not self._closed else None

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """The next sentence if it fits."""
        self._look_ahead()
        return self._ahead.popleft() if self._ahead and not self._closed and fits(self._ahead[0]) else None

    def _look_ahead(self) -> None:
        if len(self._ahead) < 2:
            self._ahead.extend(next(self._sentences, []))

    @property
    def waiting_characters(self) -> int:
        """Characters already split and not yet taken."""
        return sum(len(sentence.text) for sentence in self._ahead)

    def close(self) -> None:
        """Give no more, or `simple` mode would compute the rest of a text that nobody wants to hear."""
        self._closed = True


class LiveText:
    """Text that arrives. `pieces` may block; it is read in a thread of its own."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._batches = _sentences(pieces)
        self._arrived: queue.SimpleQueue[Sentence | TTSError | None] = queue.SimpleQueue()
        self._ahead: deque[Sentence] = deque()
        self._end: TTSError | None = None
        self._ended = False
        self._closed = False
        # A daemon: nothing can interrupt a read from a pipe that nobody writes to.
        threading.Thread(target=self._read, name="read text", daemon=True).start()

    def _read(self) -> None:
        try:
            for batch in self._batches:
                for sentence in batch:
                    self._arrived.put(sentence)
        except TTSError as error:
            self._arrived.put(error)
        except OSError as error:
            self._arrived.put(UsageError(f"cannot read the text ({error.strerror})", "is its source still there?"))
        else:
            self._arrived.put(None)

    def next_sentence(self, pending: Callable[[], None]) -> Sentence | None:
        """The next sentence; waits for it, after calling `pending`. Raises what ended the reading early."""
        self._take_arrived()
        if not self._ahead and not self._ended:
            pending()
            self._accept(self._arrived.get())
        if self._closed:
            return None
        if self._ahead:
            return self._ahead.popleft()
        if self._end is not None:
            raise self._end
        return None

    def join_next(self, fits: Callable[[Sentence], bool]) -> Sentence | None:
        """The next sentence if it has arrived and fits."""
        self._take_arrived()
        return self._ahead.popleft() if self._ahead and not self._closed and fits(self._ahead[0]) else None

    def _take_arrived(self) -> None:
        while not self._arrived.empty():
            self._accept(self._arrived.get())

    def _accept(self, item: Sentence | TTSError | None) -> None:
        if isinstance(item, Sentence):
            self._ahead.append(item)
            return
        self._ended = True
        self._end = item

    @property
    def waiting_characters(self) -> int:
        """Characters that have arrived and were not yet taken."""
        self._take_arrived()
        return sum(len(sentence.text) for sentence in self._ahead)

    def close(self) -> None:
        """Give no more, and end the waiting."""
        self._closed = True
        self._arrived.put(None)


def _sentences(pieces: Iterator[str]) -> Iterator[list[Sentence]]:
    """Batches of speakable sentences, each batch as soon as the text that completes it is here.

    Raises `NothingToSayError` at the end if there was none.
    """
    splitter = SentenceSplitter(MAX_CHARS)
    speakable = _Speakable()
    for piece in pieces:
        if batch := speakable.of(splitter.feed(piece)):
            yield batch
    if batch := speakable.of(splitter.finish()):
        yield batch
    if not speakable.found:
        raise NothingToSayError(
            "there is nothing to speak: the text holds no letters or digits", 'try: tts speak "Hello."'
        )


class _Speakable:
    """Leaves out sentences without a letter or digit, such as `***`; the blank lines before them remain."""

    def __init__(self) -> None:
        self.found = False
        self._new_paragraph = False

    def of(self, sentences: list[Sentence]) -> list[Sentence]:
        """Those of `sentences` that can be spoken."""
        kept = []
        for sentence in sentences:
            self._new_paragraph |= sentence.new_paragraph and self.found
            if is_speakable(sentence.text):
                kept.append(replace(sentence, new_paragraph=self._new_paragraph))
                self.found, self._new_paragraph = True, False
        return kept


def text_argument(text: str) -> ReadyText:
    """Text given on the command line."""
    return ReadyText(iter([_checked(text)]))


def text_file(path: Path) -> TextSource:
    """Text in a file, all checked before any of it is spoken; a named pipe is read as it comes.

    Raises `UsageError` for what cannot be read or is not UTF-8 text.
    """
    try:
        handle = path.open("rb", buffering=0)
        regular = stat.S_ISREG(os.fstat(handle.fileno()).st_mode)
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a directory", "give a text file") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "check its name and its rights") from error
    if not regular:
        return LiveText(_decoded(_reads(handle), str(path)))
    with handle:
        try:
            data = handle.readall()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}", "check its name and its rights") from error
    return ReadyText(iter(list(_decoded(_slices(data), str(path)))))


def text_stdin() -> TextSource:
    """Text from standard input: whole if it is a file, else as it arrives."""
    try:
        mode = os.fstat(0).st_mode
    except OSError as error:
        raise UsageError("standard input is closed", "give the text as an argument or with -f FILE") from error
    if stat.S_ISDIR(mode):
        raise UsageError("standard input is a directory", "pipe text into it")
    pieces = _decoded(_reads(io.FileIO(0, closefd=False)), "standard input")
    if stat.S_ISREG(mode):
        return ReadyText(iter(list(pieces)))
    return LiveText(pieces)


def text_lines(lines: Iterator[str]) -> LiveText:
    """Lines typed at a terminal: each is spoken when it is entered, punctuation or not."""
    return LiveText(_checked(line).rstrip("\n") + "\n\n" for line in lines)


def _reads(file: io.FileIO) -> Iterator[bytes]:
    with file:
        while data := file.read(READ_BYTES):
            yield data


def _slices(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), READ_BYTES):
        yield data[start : start + READ_BYTES]


def _decoded(pieces: Iterator[bytes], name: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    read = 0
    for piece in chain(pieces, [b""]):
        start = read - len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            raise _not_text(name, start + error.start) from error
        if "\0" in text:
            raise _not_text(name, start + len(text[: text.index("\0")].encode()))
        read += len(piece)
        yield text


def _not_text(name: str, position: int) -> UsageError:
    return UsageError(f"{name} is not UTF-8 text (byte {position})", "convert it first: iconv -t UTF-8")


def _checked(text: str) -> str:
    """`text`, unless it holds bytes that the command line could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("the text is not valid UTF-8", "check the terminal's encoding: it should be UTF-8") from error
    return text
