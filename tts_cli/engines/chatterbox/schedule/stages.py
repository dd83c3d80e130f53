"""The stages behind T3: tokens to chunks of sound, flow and vocoder one after the other or side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from functools import partial
from threading import Event
from typing import TypeAlias

from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenStream
from tts_cli.engines.chatterbox.schedule.due import MOST, Schedule
from tts_cli.engines.chatterbox.schedule.threads import Threads, use
from tts_cli.engines.prefetch import Prefetch

PendingSamples: TypeAlias = Callable[[], Samples]
"""A chunk whose mel frames are there: called, the vocoder makes samples of them."""


def in_turn(tokens: Iterator[int], stream: S3GenStream, when: Schedule) -> Iterator[Samples]:
    """The sound of `tokens`, every stage waiting for the one before it."""
    for sound in _chunks(tokens, lambda: 0, stream, when, Event()):
        yield sound()


def side_by_side(
    tokens: Iterator[int], begin: Callable[[], S3GenStream], when: Schedule, size: int | None, threads: Threads
) -> Generator[Samples, None, None]:
    """The same with a thread for T3, at most two chunks of `size` ahead, and one for the flow, one chunk ahead.

    `begin` makes the stream, while T3 reads the text. An error in any stage ends all and is raised here.
    """
    with ExitStack() as stack:
        drawn = stack.enter_context(closing(Prefetch(tokens, room=2 * (size or MOST))))
        ended = Event()
        use(threads.s3gen)
        chunks = _chunks(drawn, lambda: drawn.waiting, begin(), when, ended)
        sounds = stack.enter_context(closing(Prefetch(_with_threads(threads.s3gen, chunks), room=1)))
        stack.callback(ended.set)  # first of all, so that the flow does not go on to the end of its chunk
        for sound in sounds:
            yield sound()


def _with_threads(number: int, chunks: Iterator[PendingSamples]) -> Iterator[PendingSamples]:
    """`chunks`, computed with so many threads; the number is each thread's own."""
    use(number)
    yield from chunks


def _chunks(
    tokens: Iterator[int], waiting: Callable[[], int], stream: S3GenStream, when: Schedule, ended: Event
) -> Iterator[PendingSamples]:
    """Chunks of `tokens` as they fall due, the flow's part done; until `ended`."""
    held: list[int] = []
    for token in tokens:
        if ended.is_set():
            return
        held.append(token)
        if when.due(len(held), waiting()):
            begun = time.perf_counter()
            yield partial(_finish, stream.begin(held), len(held), begun, when)
            held = []
    if not ended.is_set():
        yield stream.begin(held, final=True)


def _finish(sound: PendingSamples, tokens: int, begun: float, when: Schedule) -> Samples:
    samples = sound()
    when.decoded(tokens, len(samples), time.perf_counter() - begun)
    return samples
