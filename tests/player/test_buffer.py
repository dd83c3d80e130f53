"""Samples that wait to be played: what a device gets is what was written and replaced, each sample once."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.audio import Samples, raised_cosine
from tts_cli.player.buffer import PlayBuffer

SIZE, FADE = 40, 4
STEPS = st.lists(st.tuples(st.sampled_from(["write", "replace", "play"]), st.integers(0, 25)), max_size=40)


def as_floats(samples: Samples) -> memoryview[float]:
    return memoryview(array("f", samples.tolist()))


@given(STEPS, st.integers(1, 3))
def test_a_device_gets_what_was_written_and_replaced(steps: list[tuple[str, int]], channels: int) -> None:
    buffer = PlayBuffer(SIZE, FADE)
    waiting: list[float] = []
    position, level = 0, 0.0
    for step, count in steps:
        level += 1
        if step == "play":
            block = as_floats(np.full(count * channels, -1, np.float32))
            buffer.play(block, channels)
            played, waiting = waiting[:count], waiting[count:]
            position += len(played)
            expected = np.repeat(played + [0.0] * (count - len(played)), channels)
            np.testing.assert_allclose(np.array(block), expected, rtol=1e-6)
        elif step == "write" and len(waiting) + count <= SIZE:
            buffer.write(as_floats(np.full(count, level, np.float32)))
            waiting += [level] * count
        elif step == "replace" and FADE + count <= SIZE:
            begin = buffer.replace(as_floats(np.full(count, level, np.float32)))
            length = min(len(waiting), FADE)
            waiting = [*(np.array(waiting[:length]) * raised_cosine(length)[::-1]), *[level] * count]
            assert begin == position + length
        assert (buffer.read, buffer.end) == (position, position + len(waiting))


def test_running_out_counts_once_and_not_before_the_first_sample() -> None:
    buffer = PlayBuffer(SIZE, FADE)
    block = as_floats(np.zeros(3, np.float32))
    buffer.play(block, 1)
    assert buffer.dry == 0
    buffer.write(as_floats(np.ones(4, np.float32)))
    counts = []
    for _ in range(3):
        buffer.play(block, 1)
        counts.append(buffer.dry)
    assert counts == [0, 1, 1]


def test_more_than_fits_is_an_error_and_loses_nothing() -> None:
    buffer = PlayBuffer(SIZE, FADE)
    buffer.write(as_floats(np.ones(SIZE, np.float32)))
    with pytest.raises(OverflowError):
        buffer.write(as_floats(np.ones(1, np.float32)))
    block = as_floats(np.zeros(SIZE, np.float32))
    buffer.play(block, 1)
    assert set(block) == {1.0}
