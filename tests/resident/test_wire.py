"""What a chunk carries comes through the connection to a resident process."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tts_cli.audio import AudioChunk, SpokenWord
from tts_cli.resident.wire import packed, unpacked
from tts_cli.segment import Segment


def test_a_chunk_arrives_as_it_was_sent() -> None:
    segment = Segment.of("It rains.", 7)
    samples = np.linspace(-1, 1, 99, dtype=np.float32)
    sent = AudioChunk(samples, 16_000, segment, "too long", (SpokenWord(3, 8, 0.1, 0.4),), 1.28)
    found = unpacked(packed(sent), {7: segment})
    np.testing.assert_array_equal(found.samples, samples)
    nothing = np.zeros(0, np.float32)
    assert repr(replace(found, samples=nothing)) == repr(replace(sent, samples=nothing))
