"""Runs the stages after T3: the flow and the vocoder compute chunks of sound from tokens, in one thread or in several.

The thread that takes the chunks runs the vocoder. The flow and T3 can run ahead of it in threads of their own
(`Prefetch`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from typing import TypeAlias

from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenStream
from tts_cli.engines.chatterbox.schedule.earliest_deadline import Turn
from tts_cli.engines.chatterbox.schedule.threads import Threads, use
from tts_cli.engines.prefetch import Prefetch

PendingSamples: TypeAlias = Callable[[], Samples]
"""A chunk whose mel frames are computed. A call computes its samples."""


def in_turn(tokens: Iterator[int], stream: S3GenStream, sizes: Iterator[int], turn: Turn) -> Iterator[Samples]:
    """Compute the sound of an utterance in one thread: each stage waits for the others.

    Parameters
    ----------
    tokens
        The speech tokens. They are drawn as they are needed.
    stream
        A new stream.
    sizes
        The tokens of each chunk.
    turn
        Waits for the other utterances.

    Yields
    ------
    Samples
        The samples of one chunk, float32 `[n]`; n may be 0.
    """
    for sound in _chunks(tokens, stream, sizes, turn):
        with turn:
            samples = sound()
        yield samples


def side_by_side(
    tokens: Iterator[int],
    begin: Callable[[], S3GenStream],
    sizes: Iterator[int],
    threads: Threads,
    turn: Turn,
) -> Generator[Samples, None, None]:
    """Compute the sound of an utterance in two threads: the flow, and the vocoder in the caller's. T3 has its own.

    Parameters
    ----------
    tokens
        The speech tokens, which another thread draws.
    begin
        Makes the stream, which can take long. It is called while T3 reads the text.
    sizes
        The tokens of each chunk. The flow is at most one chunk ahead of the vocoder.
    threads
        How many threads torch uses in each stage.
    turn
        Waits for the other utterances. It is closed at the end.

    Yields
    ------
    Samples
        As in `in_turn`. An error in any stage ends all stages and is raised here.
    """
    with ExitStack() as stack:
        use(threads.s3gen)
        with turn:
            stream = begin()
        chunks = _chunks(tokens, stream, sizes, turn)
        sounds = stack.enter_context(closing(Prefetch(_with_threads(threads.s3gen, chunks), room=1)))
        stack.callback(turn.close)  # runs before the others, so that the flow begins no further chunk
        for sound in sounds:
            with turn:
                samples = sound()
            yield samples


def _with_threads(number: int, chunks: Iterator[PendingSamples]) -> Iterator[PendingSamples]:
    """The same `chunks`. torch computes them with `number` threads in the thread that iterates."""
    use(number)
    yield from chunks


def _chunks(tokens: Iterator[int], stream: S3GenStream, sizes: Iterator[int], turn: Turn) -> Iterator[PendingSamples]:
    """Run the flow for each chunk of `tokens`, until `turn` is closed."""
    held: list[int] = []
    size = next(sizes)
    for token in tokens:
        held.append(token)
        if len(held) == size:
            with turn:
                if turn.closed:
                    return
                mels = stream.begin(held)
            yield mels
            held, size = [], next(sizes)
        if turn.closed:
            return
    with turn:
        if turn.closed:
            return
        mels = stream.begin(held, final=True)
    yield mels
