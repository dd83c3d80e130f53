"""A running utterance, for the event loop: pieces of encoded sound, then how it ended."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from tts_cli.audio import TOKEN_RATE
from tts_cli.errors import TTSError
from tts_cli.metrics import Meter, Snapshot
from tts_cli.server.connection_sink import ConnectionSink, Piece
from tts_cli.utterance import Utterance

STALLED_SECONDS: Final = 60
"""How long a client may read nothing."""


@dataclass(slots=True)
class Sent:
    """What a listener was sent."""

    chunks: int = 0
    samples: int = 0
    bytes: int = 0


class Speech:
    """One utterance that a listener hears. Used in the event loop only.

    Parameters
    ----------
    utterance
        What speaks.
    sink
        Where it speaks to.
    meter
        Its measurements.
    rate
        Samples a second.
    queued
        Seconds that it waited for its place.
    """

    def __init__(self, utterance: Utterance, sink: ConnectionSink, meter: Meter, rate: int, queued: float) -> None:
        self.utterance = utterance
        self.rate = rate
        self.sent = Sent()
        self._sink = sink
        self._meter = meter
        self._queued = queued
        self.error: Exception | None = None
        """What `result` has raised."""
        self._ended: TTSError | None = None

    async def pieces(self) -> AsyncIterator[Piece]:
        """The sound, in order. After the last piece, call `result`."""
        while (piece := await self._sink.take()) is not None:
            yield piece
            self.sent.chunks += bool(piece.samples)
            self.sent.samples += piece.samples
            self.sent.bytes += len(piece.data)

    def result(self) -> None:
        """Raise what went wrong, if anything did. Called after the last piece."""
        try:
            if self._ended is not None:
                raise self._ended
            self.utterance.result()
        except Exception as error:
            self.error = error
            raise

    def cancel(self, why: TTSError | None = None) -> None:
        """End the utterance after the engine's present step. `why` is what `result` then raises."""
        self._ended = self._ended or why
        self.utterance.cancel()

    @property
    def measured(self) -> Snapshot:
        """The measurements so far."""
        return self._meter.snapshot()

    def numbers(self) -> dict[str, object]:
        """The measurements, as docs/server.md describes them."""
        run, seconds = self.measured, self.sent.samples / self.rate
        return {
            "total_time_ms": _ms(run.total),
            "audio_duration_ms": _ms(seconds),
            "rtf": None if run.rtf is None else round(run.rtf, 4),
            "tokens_generated": round(run.sound * TOKEN_RATE),
            "chunks": self.sent.chunks,
            "first_audio_ms": _ms(run.ttfa),
            "queued_ms": _ms(self._queued),
            "sample_rate": self.rate,
            "notices": list(run.notices),
        }

    def summary(self) -> str:
        """The measurements in a line, for the log."""
        run = self.measured
        return (
            f"{run.characters} characters, sent {self.sent.samples / self.rate:.1f} s in {self.sent.chunks} chunks, "
            f"TTFA {_ms(run.ttfa)} ms, RTF {run.rtf or 0:.3f}, queued {_ms(self._queued)} ms"
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def now() -> float:
    """A monotonic clock, in seconds."""
    return time.monotonic()
