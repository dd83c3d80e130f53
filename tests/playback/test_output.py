"""What a stream gets: each sample once, however playing is paused, and however late the stream answers."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness import PATIENCE
from tts_cli.audio import Samples
from tts_cli.playback.device_stream import DeviceStream, StreamError
from tts_cli.playback.output import Output
from tts_cli.playback.playout import Playout
from tts_cli.playback.ring import Ring
from tts_cli.player.buffer import PlayBuffer

RATE = 1000
FADE = 5
LENGTH = 200
SOUND = np.random.default_rng(1).uniform(0.1, 0.5, 900).astype(np.float32)
"""A sound without a sample of silence."""


class SteppedStream(DeviceStream):
    """A stream whose device plays when the test says so. The output and the test take turns."""

    def __init__(self, delay: int = 0, played_meanwhile: int = 0) -> None:
        self.length, self.ahead, self.delay = LENGTH, FADE, delay
        self.buffer = PlayBuffer(10 * LENGTH, FADE)
        self.heard = np.zeros(0, np.float32)
        self.failure: StreamError | None = None
        self._played_meanwhile = played_meanwhile  # by the device, while it is asked to replace samples
        self._turns = threading.Condition()
        self._idle = False

    def play(self, count: int) -> None:
        block = array("f", bytes(4 * count))
        self.buffer.play(memoryview(block), 1)
        self.heard = np.concatenate([self.heard, np.array(block, np.float32)])

    def step(self, count: int = 0) -> None:
        """Play samples, and let the output answer."""
        with self._turns:
            assert self._turns.wait_for(lambda: self._idle, PATIENCE)
            self.play(count)
            self._idle = False
            self._turns.notify_all()
            assert self._turns.wait_for(lambda: self._idle or self.failure, PATIENCE)

    def turn(self, seconds: float | None = None) -> None:
        with self._turns:
            self._idle = True
            self._turns.notify_all()
            assert self._turns.wait_for(lambda: not self._idle, PATIENCE)
            if self.failure:
                raise self.failure

    def wake(self) -> None:
        with self._turns:
            self._idle = False
            self._turns.notify_all()

    def writable(self) -> int:
        return max(0, self.length - (self.buffer.end - self.buffer.read))

    def write(self, samples: Samples) -> None:
        self.buffer.write(memoryview(array("f", samples.tolist())))

    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        self.play(self._played_meanwhile)
        return self.buffer.replace(memoryview(array("f", samples.tolist())))

    def ran_dry(self) -> int:
        return self.buffer.dry

    def flush(self, ended: Callable[[], bool]) -> None: ...

    def close(self) -> None: ...


def playing(stream: SteppedStream) -> tuple[Playout, Output]:
    """An output that plays `SOUND` on the stream."""
    ring = Ring(len(SOUND), len(SOUND))
    playout = Playout(ring, RATE)
    output = Output(stream, playout, RATE)
    stream.step()
    ring.write(SOUND)
    playout.draining = True
    return playout, output


STEPS = st.lists(
    st.one_of(st.integers(0, 60), st.sampled_from(["pause", "resume"])),
    max_size=30,
)


@settings(deadline=None)
@given(STEPS, st.integers(0, 40), st.integers(0, 100))
def test_every_sample_is_heard_once_and_in_its_order(steps: list[int | str], meanwhile: int, delay: int) -> None:
    stream = SteppedStream(delay, meanwhile)
    playout, output = playing(stream)
    pauses = 0
    for step in steps:
        if isinstance(step, int):
            stream.step(step)
        else:
            pauses += step == "pause" and not playout.paused
            playout.paused = step == "pause"
            stream.step()
    playout.paused = False
    for _ in range(20):
        stream.step(60)
    output.stop()
    loud = stream.heard[stream.heard != 0]
    assert len(loud) == len(SOUND)
    assert (loud <= SOUND).all()
    assert np.count_nonzero(loud != SOUND) <= 2 * FADE * pauses


@pytest.mark.parametrize("delay", [0, 30, 2000])
def test_what_is_heard_is_what_the_device_has_played(delay: int) -> None:
    """And not what it stores."""
    stream = SteppedStream(delay)
    playout, output = playing(stream)
    stream.step()
    assert output.latency == (LENGTH + delay) / RATE
    for _ in range(20):
        stream.step(37)
        heard = playout.ring.position - output.waiting
        assert heard == max(0, np.count_nonzero(stream.heard) - delay)
    output.stop()


@pytest.mark.parametrize("delay", [0, 30, 120])
def test_a_late_sound_leaves_the_stream_enough_for_its_device(delay: int) -> None:
    stream = SteppedStream(delay)
    ring = Ring(len(SOUND), 0)
    playout = Playout(ring, RATE)
    output = Output(stream, playout, RATE)
    playout.needed = 1
    stream.step()
    ring.write(SOUND[:300])
    for _ in range(60):
        stream.step(max(5, delay))
        assert stream.buffer.dry == 0
    assert playout.starved_frames > 0
    output.stop()


def test_a_stream_that_fails_ends_the_output_and_says_why() -> None:
    stream = SteppedStream()
    _, output = playing(stream)
    stream.failure = StreamError("the cable is cut")
    stream.step()
    output.stop()
    assert not output.active
    assert output.failure == "the cable is cut"
