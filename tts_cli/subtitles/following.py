"""Follows what a listener hears: which sentence and which word of the text, while more of it is computed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tts_cli.audio import AudioChunk
from tts_cli.playback import Heard, Sink
from tts_cli.playback.forwarding import ForwardingSink
from tts_cli.segment import Segment
from tts_cli.subtitles.placing import Cue, place
from tts_cli.subtitles.segment_sound import SegmentSound

BEFORE: Final = 100
"""How many segments before the one that is heard are stored. More are not reached by going back."""
SHOWN_BEFORE: Final = 8
SHOWN_AFTER: Final = 20


@dataclass(frozen=True, slots=True)
class Following:
    """What is heard, in its text.

    Attributes
    ----------
    texts
        The segments around the one that is heard, in order.
    present
        Which of them is heard.
    sentence
        Where the sentence that is heard is in that text: its first character, and the one after its last.
    word
        The same of the word that is heard; None in a pause.
    """

    texts: tuple[str, ...]
    present: int
    sentence: tuple[int, int]
    word: tuple[int, int] | None


class FollowedSink(ForwardingSink):
    """Passes sound on to a speaker, and knows which text is heard.

    Parameters
    ----------
    sink
        A sink whose status says what is heard.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._sounds: dict[int, SegmentSound] = {}  # by the numbers of their segments, in order
        self._complete = False  # whether all sound of the last one has come
        self._using = threading.Lock()
        self._placed: tuple[tuple[int, int, bool], list[Cue]] | None = None  # the last result, and what it is of

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Note which text the chunk says, and pass it on."""
        number = chunk.segment.number
        heard = None if number in self._sounds else self.status().heard
        with self._using:
            if heard is not None:
                for old in [old for old in self._sounds if old < heard.segment - BEFORE]:
                    del self._sounds[old]
            if number not in self._sounds:
                self._sounds[number] = SegmentSound(chunk.segment, chunk.sample_rate)
            self._sounds[number].add(chunk)
            self._complete = False
        super().write(chunk, needed)

    def text_pending(self) -> None:
        """Note that all sound of the last segment has come."""
        with self._using:
            self._complete = True
        super().text_pending()

    def finish(self) -> None:
        """The same, and finish the sink."""
        with self._using:
            self._complete = True
        super().finish()

    def following(self, coming: Sequence[Segment] = ()) -> Following | None:
        """What is heard now; None if nothing is.

        Parameters
        ----------
        coming
            Segments that are known and have no sound so far.
        """
        heard = self.status().heard
        with self._using:
            if heard is None or heard.segment not in self._sounds:
                return None
            numbers = list(self._sounds)
            at = numbers.index(heard.segment)
            first = max(0, at - SHOWN_BEFORE)
            known = [self._sounds[number].segment for number in numbers]
            known += [segment for segment in coming if segment.number > numbers[-1]]
            texts = tuple(segment.text for segment in known[first : at + SHOWN_AFTER + 1])
            sentence, word = self._heard_in(self._sounds[heard.segment], heard)
            return Following(texts, at - first, sentence, word)

    def skip_sentence(self, by: int) -> bool:
        """Go `by` sentences on, or back if `by` is negative.

        Returns False, and does nothing, if that sentence is unknown so far, or its sound is not stored any more.
        """
        heard = self.status().heard
        with self._using:
            if heard is None or heard.segment not in self._sounds:
                return False
            begins: list[Heard] = []
            for number, spoken in self._sounds.items():
                cues = place(spoken.segment, spoken.activity, spoken.words, complete=self._is_complete(number))
                begins += [Heard(number, 0.0 if cue is cues[0] else cue.start) for cue in cues]
        now = sum((begin.segment, begin.seconds) <= (heard.segment, heard.seconds) for begin in begins) - 1
        there = max(0, now + by)
        return there < len(begins) and self.seek(begins[there])

    def _is_complete(self, number: int) -> bool:
        return self._complete or number != next(reversed(self._sounds))

    def _heard_in(self, spoken: SegmentSound, heard: Heard) -> tuple[tuple[int, int], tuple[int, int] | None]:
        complete = self._is_complete(heard.segment)
        of = heard.segment, spoken.activity.samples, complete
        if self._placed is None or self._placed[0] != of:
            self._placed = of, place(spoken.segment, spoken.activity, spoken.words, complete=complete)
        spans = spoken.segment.spans
        begun = [(span, cue) for span, cue in zip(spans, self._placed[1], strict=False) if cue.start <= heard.seconds]
        if not begun:
            return spans[0], None
        span, cue = begun[-1]
        words = [word for word in cue.words if word.start <= heard.seconds < word.end]
        return span, (words[-1].at, words[-1].at + len(words[-1].text)) if words else None
