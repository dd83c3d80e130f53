"""The loop from segments through an engine to a sink, for speaking and for measuring.

`synthesize` gives chunks as they are computed, and `deliver` passes them to a sink. The next chunk is computed after
the sink has taken the one before. So a sink that waits (a full ring, a full pipe) makes the engine wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from tts_cli.audio import AudioChunk
from tts_cli.collect import collected
from tts_cli.engines import Engine, Mode, SpeakOptions
from tts_cli.engines.options import MAX_PAUSE
from tts_cli.errors import NothingToSayError, UnspokenError
from tts_cli.metrics import Meter
from tts_cli.playback import Sink
from tts_cli.playback.prebuffer import Forecast
from tts_cli.segments import TextSegments
from tts_cli.shaping.shaper import AS_IT_IS, Shape, Shaper


def synthesize(
    engine: Engine, voice: str, options: SpeakOptions, segments: TextSegments, meter: Meter
) -> Generator[AudioChunk, None, None]:
    """Compute the sound of all segments. In `simple` mode, all of it is computed before the first chunk is given
    (`collected`).

    What the engine does not do itself of `speed`, `volume` and `normalize` is done here.

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
    OutputError
        If `simple` mode cannot store the sound.
    TTSError
        If the text cannot be read, after the sound of what was read; if the request is wrong; if this machine lacks
        something.
    """
    with closing(_computed(engine, voice, options, segments, meter)) as chunks:
        sound = False
        for chunk in collected(chunks) if options.mode == "simple" else chunks:
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
    shape = _shape(engine, options)
    if shape.speed != 1:  # pauses, too, become shorter or longer with the sound
        options = replace(options, pause=min(options.pause * shape.speed, MAX_PAUSE))
    chunks = _given(engine, voice, options, segments, meter)
    if shape != AS_IT_IS:
        chunks = _shaped(chunks, Shaper(engine.sample_rate, shape), segments, meter, options.mode)
    with closing(chunks):
        for chunk in chunks:
            meter.chunk_computed(chunk)
            yield chunk


def _shape(engine: Engine, options: SpeakOptions) -> Shape:
    """What the engine does not do itself."""
    speed = 1.0 if getattr(engine, "paced", True) else options.speed
    return Shape(speed, options.volume, options.normalize)


def _given(
    engine: Engine, voice: str, options: SpeakOptions, segments: TextSegments, meter: Meter
) -> Generator[AudioChunk, None, None]:
    """The engine's chunks, with the silence between two paragraphs, in addition to its own after every sentence."""
    with closing(engine.stream(segments, voice, options)) as chunks:
        while True:
            with meter.computing():
                chunk = next(chunks, None)
            if chunk is None:
                return
            samples = round(options.pause * chunk.sample_rate)
            if segments.sounds(chunk.segment) and samples:
                yield AudioChunk(np.zeros(samples, np.float32), chunk.sample_rate, chunk.segment)
            segments.notice(chunk)
            yield chunk


def _shaped(
    chunks: Generator[AudioChunk, None, None], shaper: Shaper, segments: TextSegments, meter: Meter, mode: Mode
) -> Generator[AudioChunk, None, None]:
    def rest() -> list[AudioChunk]:
        with meter.computing():
            return shaper.rest()

    def held_back() -> list[AudioChunk]:
        found = rest()
        for chunk in found:
            meter.chunk_computed(chunk)
        return found

    if mode == "streaming":
        segments.held_back = held_back
    with closing(chunks):
        for chunk in chunks:
            with meter.computing():
                done = shaper.add(chunk)
            yield from done
        yield from rest()


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
