"""Speaks segments one after the other, for engines that compute one segment at a time, and prefetches the next."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Final

from tts_cli.audio import AudioChunk
from tts_cli.engines import Segments
from tts_cli.engines.prefetch import Prefetch
from tts_cli.segment import Segment

ROOM: Final = 2
"""How many chunks of the next segment are computed ahead."""

Speak = Callable[[Segment], Iterator[AudioChunk]]
"""Computes the sound of one segment, chunk by chunk."""
_Begun = tuple[Segment, Generator[AudioChunk, None, None] | Prefetch[AudioChunk]]


def in_order(segments: Segments, speak: Speak, *, ahead: bool = False) -> Generator[AudioChunk, None, None]:
    """Speak `segments` one after the other.

    Parameters
    ----------
    segments
        The text. What `speak` raises for a segment is passed to `segments.failed`.
    speak
        Computes the sound of one segment. With `ahead`, it runs for two segments in two threads at once.
    ahead
        Whether the next segment is computed in a thread while the current one is given.

    Yields
    ------
    AudioChunk
        In the order of the segments. Chunks without samples are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from tts_cli.metrics import Meter
    >>> from tts_cli.segments import TextSegments
    >>> from tts_cli.text.sources import text_argument
    >>> def beep(segment):
    ...     yield AudioChunk(np.ones(10, np.float32), 24_000, segment)
    >>> segments = TextSegments(text_argument("It rains. It pours."), Meter())
    >>> [chunk.segment.text for chunk in in_order(segments, beep)]
    ['It rains.', 'It pours.']
    """
    following: _Begun | None = None
    try:
        while True:
            if following is None:
                segment = segments.take()
                if segment is None:
                    return
                following = segment, _computed(speak, segment)
            (segment, sound), following = following, None
            with closing(sound):
                while segment.number >= segments.wanted:
                    try:
                        chunk = next(sound, None)
                    except Exception as error:  # noqa: BLE001  `failed` raises what must end the utterance
                        segments.failed(segment, error)
                        break
                    if chunk is None:
                        break
                    if ahead and following is None and (after := segments.take(wait=False)) is not None:
                        following = after, Prefetch(_computed(speak, after), ROOM)
                    if len(chunk.samples):
                        yield chunk
    finally:
        if following is not None:
            following[1].close()


def _computed(speak: Speak, segment: Segment) -> Generator[AudioChunk, None, None]:
    """The chunks of `speak` as a generator, which can be closed. Errors of the call come with the first chunk."""
    yield from speak(segment)
