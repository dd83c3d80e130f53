"""The segments of one utterance: an engine takes them, and the pipeline learns what was taken."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Final

from tts_cli.audio import AudioChunk
from tts_cli.errors import MissingError, SegmentError, UsageError, beginning
from tts_cli.metrics import Meter
from tts_cli.segment import Segment, Sentence
from tts_cli.text.cuts import best_cut
from tts_cli.text.sources import TextSource

FAILURES_IN_A_ROW: Final = 5
"""An engine that fails on so many segments one after another would fail on the others too."""


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


class TextSegments:
    """Composes segments of the sentences of a text source. Implements `engines.Segments`.

    Parameters
    ----------
    source
        The text.
    meter
        Is told when a text is known, and when it is waited for.
    together
        Whether sentences of a paragraph may be spoken as one segment; None: each is spoken alone. A single sentence
        that may not is spoken in parts.
    left_out
        Tags that the engine cannot act out, such as `laugh` for `[laugh]`. They are not read out either.
    pending
        Called before a wait for text that has yet to arrive.
    failed
        Is told of each segment that the engine fails on, and that is left out.
    noticed
        Is told what is wrong with speech that is spoken all the same, and of which text.
    strict
        Whether the first of them ends everything.
    """

    def __init__(
        self,
        source: TextSource,
        meter: Meter,
        *,
        together: Callable[[Segment], bool] | None = None,
        left_out: Collection[str] = (),
        pending: Callable[[], None] = _nothing,
        failed: Callable[[SegmentError], None] = _nothing,
        noticed: Callable[[str], None] = _nothing,
        strict: bool = False,
    ) -> None:
        self.wanted = 0
        self.unreadable: Exception | None = None
        """Why the text ends where it does, if it does not end there by itself."""
        self.failures: list[SegmentError] = []
        """The segments that the engine failed on, and why."""
        self._source = source
        self._meter = meter
        self._together = together
        self._left_out = _tags(left_out)
        self._pending = pending
        self._tell = failed
        self._tell_notice = noticed
        self._strict = strict
        self._number = 0
        self._rest: Sentence | None = None
        """What is left of a sentence that is spoken in parts."""
        self._silent: deque[Segment] = deque()
        """Taken, and without sound so far."""
        self._sounding: int | None = None
        self._characters = 0
        self._rest_spoken = False
        """Whether one before the sounding one has sounded to its end."""
        self._failed: int | None = None
        """The number of the segment that failed last."""
        self._in_a_row = 0
        """How many failed one after another, that one included."""

    def take(self, wait: bool = True) -> Segment | None:
        """See `engines.Segments`."""
        sentence = self._rest or self._next(wait)
        if sentence is None:
            return None
        sentence, self._rest = self._parted(sentence)
        segment = Segment(self._number, (sentence,))
        while (
            self._together
            and self._rest is None
            and (more := self._source.join_next(partial(self._joins, segment))) is not None
        ):
            segment = segment.joined(self._spoken(more))
        self._number += 1
        self._silent.append(segment)
        self._meter.text_known(segment)
        return segment

    def failed(self, segment: Segment, error: Exception) -> None:
        """See `engines.Segments`. What is wrong with the request or with this machine is raised as it is."""
        if isinstance(error, UsageError | MissingError):
            raise error
        found = SegmentError(segment.text, error)
        found.__cause__ = error
        self._in_a_row = self._in_a_row + 1 if self._failed == segment.number - 1 else 1
        self._failed = segment.number
        if self._strict or self._in_a_row == FAILURES_IN_A_ROW:
            raise found from error
        self.failures.append(found)
        self._meter.segment_failed()
        self._tell(found)

    def notice(self, chunk: AudioChunk) -> None:
        """Pass on what `chunk` says is wrong with it."""
        if chunk.notice:
            notice = f"{beginning(chunk.segment.text)!r}: {chunk.notice}"
            self._meter.noticed(notice)
            self._tell_notice(notice)

    @property
    def rest_spoken(self) -> bool:
        """Whether a segment has sounded to its end."""
        return self._rest_spoken or self._sounding not in (None, self._failed)

    def sounds(self, segment: Segment) -> bool:
        """Take note of a chunk of `segment`; whether a paragraph begins with it, after other sound."""
        if segment.number != self._sounding:
            self._rest_spoken = self.rest_spoken
        begins = False
        while self._silent and self._silent[0].number <= segment.number:
            first = self._silent.popleft()
            self._characters += len(first.text)
            begins |= first.new_paragraph
        after_sound = self._sounding is not None
        self._sounding = segment.number
        return begins and after_sound

    @property
    def sounding(self) -> int | None:
        """The number of the segment whose sound was computed last; None before there is any."""
        return self._sounding

    @property
    def begun_characters(self) -> int:
        """Characters of the segments up to the one that sounds last."""
        return self._characters

    @property
    def waiting_characters(self) -> int:
        """Characters that are known and come after those."""
        rest = len(self._rest.text) if self._rest else 0
        return sum(len(segment.text) for segment in self._silent) + rest + self._source.waiting_characters

    def _next(self, wait: bool) -> Sentence | None:
        try:
            sentence = self._source.next_sentence(self._wait) if wait else self._source.join_next(lambda _: True)
        except Exception as error:  # noqa: BLE001  raised when what stands before that place is spoken
            self.unreadable = error
            return None
        return self._spoken(sentence) if sentence else None

    def _parted(self, sentence: Sentence) -> tuple[Sentence, Sentence | None]:
        """`sentence`, or as much of it as can be spoken at once, and the rest."""
        fits, text = self._together, sentence.text
        if fits is None or fits(Segment(0, (sentence,))):
            return sentence, None
        longest = bisect_left(range(1, len(text)), True, key=lambda length: not fits(Segment.of(text[:length])))
        cut = best_cut(text, 0, max(longest, 1))
        part = Sentence(text[: cut.at].rstrip(), cut.ending or "cut", sentence.new_paragraph)
        return part, Sentence(text[cut.at :].lstrip(), sentence.ending)

    def _joins(self, segment: Segment, sentence: Sentence) -> bool:
        assert self._together is not None
        return not sentence.new_paragraph and self._together(segment.joined(self._spoken(sentence)))

    def _spoken(self, sentence: Sentence) -> Sentence:
        if self._left_out is None or "[" not in sentence.text:
            return sentence
        return replace(sentence, text=" ".join(self._left_out.sub(" ", sentence.text).split()))

    def _wait(self) -> None:
        self._meter.text_pending()
        self._pending()


def _tags(names: Collection[str]) -> re.Pattern[str] | None:
    return re.compile(rf"\[(?:{'|'.join(map(re.escape, names))})\]", re.IGNORECASE) if names else None
