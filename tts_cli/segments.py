"""The segments of one utterance: an engine takes them, and the pipeline sees which were taken."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Sequence
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
"""After so many failed segments one after the other, the run ends: the engine would fail on the others, too."""


def _nothing(*_: object) -> None:
    """Ignore the call."""


class TextSegments:
    """Builds segments from the sentences of a text source. Implements `engines.Segments`.

    Parameters
    ----------
    source
        The text.
    meter
        Learns when a segment is known, and when text is waited for.
    together
        Whether the sentences of a segment may be spoken at once; None if each is spoken alone. A single sentence for
        which it returns False is spoken in parts.
    left_out
        Tags to remove from the text, such as `laugh` for `[laugh]`, because the engine does not know them.
    pending
        Called before text is waited for.
    failed
        Called for each segment that the engine fails on and that is left out.
    noticed
        Called with what is wrong with sound that is given all the same, and with the text of it.
    strict
        Whether the first failed segment ends everything.

    Examples
    --------
    >>> from tts_cli.text.sources import text_argument
    >>> segments = TextSegments(text_argument("It rains. It pours."), Meter())
    >>> segments.take().text, segments.take().text, segments.take()
    ('It rains.', 'It pours.', None)
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
        """The error that ended the text early, if there was one."""
        self.failures: list[SegmentError] = []
        """The errors of the segments that the engine failed on."""
        self.held_back: Callable[[], Sequence[AudioChunk]] = tuple
        """Returns the sound that was computed and is held back. It is called in `pending`, because no text that
        would release it comes for now."""
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
        """The rest of a sentence that is spoken in parts."""
        self._silent: deque[Segment] = deque()
        """Segments that were taken and have no sound so far."""
        self._sounding: int | None = None
        self._characters = 0
        self._rest_spoken = False
        """Whether a segment before the sounding one has sounded to its end."""
        self._failed: int | None = None
        """The number of the last segment that failed."""
        self._in_a_row = 0
        """How many segments failed one after the other, up to that one."""

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
        """See `engines.Segments`. A `UsageError` and a `MissingError` are raised as they are."""
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
        """Pass the notice of `chunk` on, if it has one."""
        if chunk.notice:
            notice = f"{beginning(chunk.segment.text)!r}: {chunk.notice}"
            self._meter.noticed(notice)
            self._tell_notice(notice)

    @property
    def rest_spoken(self) -> bool:
        """Whether a segment has sounded to its end."""
        return self._rest_spoken or self._sounding not in (None, self._failed)

    def sounds(self, segment: Segment) -> bool:
        """Note that a chunk of `segment` was computed. Returns whether it begins a paragraph after other sound."""
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
        """The number of the segment whose sound was computed last; None if there is no sound yet."""
        return self._sounding

    @property
    def coming(self) -> tuple[Segment, ...]:
        """The segments that were taken and have no sound so far. Any thread may ask."""
        return tuple(self._silent.copy())

    @property
    def begun_characters(self) -> int:
        """Characters of all segments up to the sounding one."""
        return self._characters

    @property
    def waiting_characters(self) -> int:
        """Characters after those, as far as the text is known."""
        rest = len(self._rest.text) if self._rest else 0
        return sum(len(segment.text) for segment in self._silent) + rest + self._source.waiting_characters

    def _next(self, wait: bool) -> Sentence | None:
        try:
            sentence = self._source.next_sentence(self._wait) if wait else self._source.join_next(lambda _: True)
        except Exception as error:  # noqa: BLE001  `synthesize` raises it after the sound of the text before
            self.unreadable = error
            return None
        return self._spoken(sentence) if sentence else None

    def _parted(self, sentence: Sentence) -> tuple[Sentence, Sentence | None]:
        """As much of `sentence` as can be spoken at once, and the rest or None."""
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
