"""The loop from segments through an engine to a sink, for speaking and for measuring.

`synthesize` gives chunks as they are computed, and `deliver` passes them to a sink. The next chunk is computed after
the sink has taken the one before. So a sink that waits (a full ring, a full pipe) makes the engine wait.
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
    """Compute the sound of all segments. In `simple` mode, all of it is computed before the first chunk is given.

    Parameters
    ----------
    engine
        What speaks.
    voice
        One of its voices.
    options
        Its options.
    segments
        The text.
    meter
        Takes the measurements.

    Yields
    ------
    AudioChunk
        In order. Closing the generator ends everything that the engine has started.

    Raises
    ------
    NothingToSayError
        At the end, if the engine found no sound in the text.
    UnspokenError
        At the end, if the engine failed on some of the segments.
    SegmentError
        If the engine fails on a segment and `segments` is strict, or on five in a row.
    TTSError
        If the text cannot be read, after the sound of what was read; if the request is wrong; if this machine lacks
        something.
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
    """The silence between two paragraphs, in addition to the engine's own after every sentence."""
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
    """Give chunks to a sink. The sink is not finished.

    Parameters
    ----------
    chunks
        What `synthesize` gives.
    segments
        Whose `wanted` decides which chunks are dropped, because the listener has skipped them.
    sink
        Where the sound goes.
    meter
        Takes the measurements.
    all_computed
        Whether all sound is computed before the first chunk, so that playing can start at once.
    go_on
        Called before each chunk; False ends the loop.

    Raises
    ------
    TTSError
        What computing and delivering raise.
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
