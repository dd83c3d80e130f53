"""The ring: first in, first out, whatever the sizes, and across threads."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.playback.ring import Ring


@given(
    capacity=st.integers(1, 40),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=60),
)
def test_behaves_as_a_bounded_queue(capacity: int, steps: list[tuple[bool, int]]) -> None:
    ring = Ring(capacity)
    model: list[float] = []
    counter = 0.0
    for writing, count in steps:
        if writing:
            samples = np.arange(counter, counter + count, dtype=np.float32)
            taken = ring.write(samples)
            assert taken == min(count, capacity - len(model))
            model += samples[:taken].tolist()
            counter += count
        else:
            out = np.full(count, -1.0, np.float32)
            given_back = ring.read(out)
            assert given_back == min(count, len(model))
            assert out[:given_back].tolist() == model[:given_back]
            assert (out[given_back:] == -1.0).all()
            del model[:given_back]
        assert ring.available == len(model)
        assert ring.space == capacity - len(model)


@given(
    capacity=st.integers(1, 40),
    history=st.integers(0, 40),
    steps=st.lists(st.tuples(st.sampled_from(["write", "read", "move"]), st.integers(0, 100)), max_size=60),
)
def test_every_sample_read_is_the_one_at_its_position(
    capacity: int, history: int, steps: list[tuple[str, int]]
) -> None:
    ring = Ring(capacity, history)
    for step, count in steps:
        if step == "write":
            ring.write(np.arange(ring.written, ring.written + count, dtype=np.float32))
        elif step == "move":
            target = ring.want(count)
            assert ring.oldest <= target <= ring.written
            assert target == count or not ring.oldest <= count <= ring.written
            ring.write(np.arange(ring.written, ring.written + 7, dtype=np.float32))
            assert ring.move()
            assert ring.position == target
        else:
            position, out = ring.position, np.full(count, -1.0, np.float32)
            read = ring.read(out)
            assert out[:read].tolist() == list(range(position, position + read))
        assert ring.position >= ring.oldest
        assert 0 <= ring.space <= capacity


def test_history_stays_after_it_was_read() -> None:
    ring = Ring(10, history=30)
    for start in range(0, 100, 10):
        ring.write(np.arange(start, start + 10, dtype=np.float32))
        ring.read(np.empty(10, np.float32))
    assert ring.want(70) == 70
    assert ring.move()
    out = np.empty(40, np.float32)
    assert ring.read(out) == 30
    assert out[:30].tolist() == list(range(70, 100))


def test_a_writer_and_a_reader_in_two_threads_lose_nothing() -> None:
    ring = Ring(997)
    sent = np.arange(200_000, dtype=np.float32)
    received = np.zeros_like(sent)

    def write() -> None:
        position = 0
        while position < len(sent):
            position += ring.write(sent[position : position + 301])

    writer = threading.Thread(target=write)
    writer.start()
    position = 0
    while position < len(received):
        position += ring.read(received[position : position + 128])
    writer.join()
    assert np.array_equal(sent, received)


def test_what_was_overwritten_by_samples_that_are_taken_back_stays_lost() -> None:
    ring = Ring(capacity=10, history=10)
    out = np.zeros(8, np.float32)
    for start in (0, 8, 16):
        ring.write(np.arange(start, start + 8, dtype=np.float32))
        ring.read(out)
    ring.write(np.arange(24, 34, dtype=np.float32))
    assert ring.oldest == 14
    assert not ring.take_back(26, least=3)
    assert ring.take_back(28, least=3)
    assert (ring.oldest, ring.written) == (14, 28)
    assert ring.want(0) == 14
    ring.move()
    ring.read(out)
    assert out.tolist() == [14, 15, 16, 17, 18, 19, 20, 21]


def test_what_was_just_read_can_be_read_again() -> None:
    ring = Ring(capacity=8, history=8)
    ring.write(np.arange(8, dtype=np.float32))
    ring.read(np.zeros(6, np.float32))
    ring.unread(4)
    again = np.zeros(6, np.float32)
    assert ring.read(again) == 6
    assert np.array_equal(again, np.arange(2, 8))
    assert ring.moves == 0
