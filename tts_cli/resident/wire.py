"""What a resident process and the process that speaks send each other, as JSON and as samples.

The process that speaks has the text and the loudspeaker. The resident asks it for segments, as an engine asks
`Segments`, and sends chunks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tts_cli.audio import AudioChunk, SpokenWord, as_samples
from tts_cli.errors import MissingError, ModelError, OutputError, TTSError, UsageError
from tts_cli.segment import Segment, Sentence

PATH: Final = "/ws/engine"
"""The path of the WebSocket at which a resident answers."""
_KNOWN: Final = {kind.__name__: kind for kind in (TTSError, UsageError, MissingError, ModelError, OutputError)}


def segment_fields(segment: Segment | None) -> list[Any] | None:
    """A segment as JSON has it; None stays None."""
    if segment is None:
        return None
    return [segment.number, [[each.text, each.ending, each.new_paragraph] for each in segment.sentences]]


def segment_of(fields: Any) -> Segment | None:
    """The segment that `segment_fields` described."""
    if fields is None:
        return None
    number, sentences = fields
    return Segment(number, tuple(Sentence(*each) for each in sentences))


def error_fields(error: Exception) -> dict[str, str]:
    """An error as JSON has it."""
    if isinstance(error, TTSError):
        kind = next(name for name, each in reversed(_KNOWN.items()) if isinstance(error, each))
        return {"kind": kind, "message": error.message, "remedy": error.remedy}
    return {"kind": type(error).__name__, "message": str(error)}


def error_of(fields: Mapping[str, str]) -> Exception:
    """The error that `error_fields` described. One that is no `TTSError` gets a new class with the name of its own."""
    if fields["kind"] in _KNOWN:
        return _KNOWN[fields["kind"]](fields["message"], fields["remedy"])
    error: Exception = type(fields["kind"], (Exception,), {})(fields["message"])
    return error


def packed(chunk: AudioChunk) -> bytes:
    """A chunk as one message: a line of JSON, and then the samples, float32, little-endian."""
    words = [[word.start, word.stop, word.begin, word.end] for word in chunk.words]
    head = json.dumps([chunk.segment.number, chunk.sample_rate, chunk.notice, words, chunk.half_computed])
    return head.encode() + b"\n" + chunk.samples.astype("<f4", copy=False).tobytes()


def unpacked(message: bytes, segments: Mapping[int, Segment]) -> AudioChunk:
    """The chunk that `packed` encoded. `segments` are those that the resident was sent, by number."""
    head, _, data = message.partition(b"\n")
    number, rate, notice, words, half_computed = json.loads(head)
    samples = as_samples(np.frombuffer(data, "<f4"))
    spoken = tuple(SpokenWord(*word) for word in words)
    return AudioChunk(samples, rate, segments[number], notice, spoken, half_computed)
