"""Segments → engine → chunks → sink: the one loop, for speaking and for measuring.

`synthesize` gives chunks as they are computed; `deliver` hands them to a sink. The next chunk is computed when the sink
has taken the one before, so a sink that waits (a full ring, a full pipe) makes the engine wait, and nothing piles up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing

import numpy as np

from tts_cli.audio import AudioChunk
from tts_cli.engines import Engine, SpeakOptions
from tts_cli.errors import NothingToSayError, UnspokenError
from tts_cli.metrics import Meter
from tts_cli.playback import Sink
from tts_cli.playback.prebuffer import Forecast
from tts_cli.segments import TextSegments


def synthesize(
    engine: Engine, voice: str, options: SpeakOptions, segments: TextSegments, meter: Meter
) -> Generator[AudioChunk, None, None]:
    """Everything in `segments`, as sound. In `simple` mode all of it is computed before the first chunk is given.

    Closing this ends whatever the engine has started.

    Raises
    ------
    NothingToSayError
        At the end, where the engine found no sound in the text.
    UnspokenError
        At the end, where the engine failed on some of the segments.
    SegmentError
        Where it fails on a segment, if that is to end everything.
    TTSError
        Whatever the text source raises, after the sound of what it gave before; and what the engine says of the
        request or of this machine.
    """
    with closing(_computed(engine, voice, options, segments, meter)) as chunks:
        sound = False
        for chunk in list(chunks) if options.mode == "simple" else chunks:
            sound = True
            yield chunk
    if segments.unreadable is not None:
        raise segments.unreadable
    if segments.failures:
        raise UnspokenError(segments.failures, rest_spoken=segments.rest_spoken)
    if not sound:
        raise NothingToSayError("this voice finds nothing to speak in the text", "give it words")


def _computed(
    engine: Engine, voice: str, options: SpeakOptions, segments: TextSegments, meter: Meter
) -> Generator[AudioChunk, None, None]:
    with closing(engine.stream(segments, voice, options)) as chunks:
        while True:
            with meter.computing():
                chunk = next(chunks, None)
            if chunk is None:
                return
            if segments.sounds(chunk.segment):
                yield from _paragraph_pause(chunk, options.pause, meter)
            meter.chunk_computed(chunk)
            segments.notice(chunk)
            yield chunk


def _paragraph_pause(following: AudioChunk, seconds: float, meter: Meter) -> Iterator[AudioChunk]:
    """The silence between two paragraphs, besides what the engine puts after every sentence."""
    if samples := round(seconds * following.sample_rate):
        silence = AudioChunk(np.zeros(samples, np.float32), following.sample_rate, following.segment)
        meter.chunk_computed(silence)
        yield silence


def deliver(
    chunks: Iterator[AudioChunk],
    segments: TextSegments,
    sink: Sink,
    meter: Meter,
    *,
    all_computed: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Hand `chunks` to `sink` until there are no more, or until `go_on`, asked before each, says no.

    Chunks of segments that the listener has skipped are dropped. `all_computed` says that nothing has to be gathered
    before playing starts. The sink is not finished here.

    Raises
    ------
    TTSError
        Whatever computing and delivering raise.
    """
    forecast = Forecast()
    for chunk in chunks:
        if not go_on():
            return
        if chunk.segment.number < segments.wanted:
            continue
        needed = forecast.needed(
            meter.snapshot(), chunk.seconds, segments.begun_characters, segments.waiting_characters
        )
        meter.chunk_handed(chunk)
        sink.write(chunk, 0.0 if all_computed else needed)
