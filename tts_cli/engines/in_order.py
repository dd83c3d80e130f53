"""For engines that speak one segment at a time: takes the segments, and computes the next one ahead."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Final

from tts_cli.audio import AudioChunk
from tts_cli.engines import Segments
from tts_cli.engines.prefetch import Prefetch
from tts_cli.segment import Segment

ROOM: Final = 2
"""Chunks of the next segment that are computed before it is its turn."""

Speak = Callable[[Segment], Iterator[AudioChunk]]
"""Computes the sound of one segment, chunk by chunk."""
_Begun = tuple[Segment, Generator[AudioChunk, None, None] | Prefetch[AudioChunk]]


def in_order(segments: Segments, speak: Speak, *, ahead: bool = False) -> Generator[AudioChunk, None, None]:
    """Speak `segments` one after the other.

    Parameters
    ----------
    segments
        Where the text comes from. What `speak` raises for one of them is told to `segments.failed`.
    speak
        Computes one segment. With `ahead` it runs in two threads at once, for two segments.
    ahead
        Whether the next segment is begun, in a thread, while the present one is being given.

    Yields
    ------
    AudioChunk
        As `Engine.stream` gives them.
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
                    except Exception as error:  # noqa: BLE001  `failed` raises what must not be passed over
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
    """What `speak` gives, as something that can be closed; errors of the call itself come with the first chunk."""
    yield from speak(segment)
