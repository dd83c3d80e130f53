"""Sound that waits to be played, placed again at another pace and volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.audio import Samples
from tts_cli.playback import Heard
from tts_cli.playback.placement import MARGIN_SECONDS, Placement
from tts_cli.playback.ring import Ring

RATE = 8000
MARGIN = round(MARGIN_SECONDS * RATE)


class Listener:
    """Writes sound and plays it, in steps that the test chooses."""

    def __init__(self, capacity: float = 30, history: float = 5) -> None:
        self.ring = Ring(round(capacity * RATE), round(history * RATE))
        self.placement = Placement(self.ring, RATE)
        self.written = np.zeros(0, np.float32)
        self.heard = np.zeros(0, np.float32)

    def write(self, seconds: float, segment: int = 0, loud: float = 0.1) -> None:
        count, start = round(seconds * RATE), len(self.written)
        samples = (loud * np.sin(np.arange(start, start + count) * 0.15 * (1 + segment))).astype(np.float32)
        self.written = np.concatenate([self.written, samples])
        self.placement.add(samples, segment)
        self.placement.place()

    def play(self, samples: int) -> Samples:
        out = np.zeros(samples, np.float32)
        self.ring.move()
        count = self.ring.read(out)
        self.heard = np.concatenate([self.heard, out[:count]])
        self.placement.place()
        return out[:count]

    def to_the_end(self) -> Samples:
        self.placement.end()
        while not self.placement.place() or self.ring.available:
            self.play(500)
        return self.heard


@given(writes=st.lists(st.floats(0, 3), min_size=1, max_size=6))
def test_sound_that_nothing_is_done_to_is_not_touched(writes: list[float]) -> None:
    listener = Listener()
    for segment, seconds in enumerate(writes):
        listener.write(seconds, segment)
    np.testing.assert_array_equal(listener.to_the_end(), listener.written)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.floats(0.01, 2)),
        st.tuples(st.just("play"), st.floats(0.01, 1)),
        st.tuples(st.just("end"), st.just(0.0)),
        st.tuples(st.just("volume"), st.sampled_from([0.0, -6.0, 3.0])),
    ),
    max_size=20,
)


@settings(max_examples=60)
@given(steps=STEPS, capacity=st.sampled_from([1.0, 30.0]))
def test_another_volume_loses_and_repeats_nothing(steps: list[tuple[str, float]], capacity: float) -> None:
    listener = Listener(capacity)
    for kind, amount in steps:
        if kind == "write":
            listener.write(amount)
        elif kind == "play":
            listener.play(round(amount * RATE))
        elif kind == "end":
            listener.placement.end()
            listener.placement.place()
        else:
            listener.placement.change(1.0, amount)
    heard = listener.to_the_end()
    assert len(heard) == len(listener.written)
    loud = np.abs(listener.written) > 0.01
    gains = 20 * np.log10(heard[loud] / listener.written[loud])
    assert ((gains > -6.1) & (gains < 3.1)).all()


def test_another_volume_is_heard_after_the_margin() -> None:
    listener = Listener()
    listener.write(5)
    listener.play(RATE)
    listener.placement.change(1.0, -20.0)
    heard = listener.to_the_end()
    np.testing.assert_array_equal(heard[: RATE + MARGIN], listener.written[: RATE + MARGIN])
    after = RATE + MARGIN + RATE // 4
    np.testing.assert_allclose(heard[after:], listener.written[after:] / 10, atol=1e-6)


def test_loud_sound_is_limited() -> None:
    listener = Listener()
    listener.write(3, loud=0.7)
    listener.placement.change(1.0, 12.0)
    assert np.abs(listener.to_the_end()[MARGIN + RATE // 4 :]).max() <= 10 ** (-1 / 20)


@pytest.mark.parametrize(("speed", "change"), [(2.0, 0.5), (0.5, 2.0), (1.25, 0.8)])
def test_another_pace_makes_what_waits_longer_or_shorter(speed: float, change: float) -> None:
    listener = Listener()
    listener.write(10)
    listener.play(RATE)
    listener.placement.change(speed, 0.0)
    listener.write(2)
    seconds = len(listener.to_the_end()) / RATE
    unchanged = 1 + MARGIN_SECONDS
    assert seconds == pytest.approx(unchanged + (12 - unchanged) * change, abs=0.3)
    # The pitch stays: 0.15 radians a sample.
    tail = listener.heard[-4096:] * np.hanning(4096)
    assert np.argmax(np.abs(np.fft.rfft(tail))) * 2 * np.pi / 4096 == pytest.approx(0.15, abs=0.003)


def test_a_pace_that_changes_often_stays_continuous() -> None:
    listener = Listener()
    listener.write(10)
    for speed in (1.1, 1.2, 1.3, 1.2, 1.0, 0.9, 1.0):
        listener.play(RATE // 2)
        listener.placement.change(speed, 0.0)
    heard = listener.to_the_end()[: -RATE // 10]  # the sine itself ends abruptly
    steepest = np.abs(np.diff(listener.written)).max()
    assert np.abs(np.diff(heard)).max() < 1.5 * steepest


def test_slower_sound_than_the_ring_has_room_for_waits() -> None:
    listener = Listener(capacity=4)
    listener.write(4)
    listener.placement.change(0.5, 0.0)
    assert not listener.placement.place()
    seconds = len(listener.to_the_end()) / RATE
    assert seconds == pytest.approx(MARGIN_SECONDS + (4 - MARGIN_SECONDS) * 2, abs=0.3)


def test_after_the_default_is_restored_the_next_sound_is_not_touched() -> None:
    listener = Listener()
    listener.write(2)
    listener.placement.change(1.5, -3.0)
    listener.placement.end()
    listener.placement.change(1.0, 0.0)
    listener.to_the_end()
    before = len(listener.written)
    listener.write(1, segment=1)
    np.testing.assert_array_equal(listener.to_the_end()[-RATE:], listener.written[before:])


def test_what_is_heard_is_known_at_every_pace() -> None:
    listener = Listener()
    for segment in range(3):
        listener.write(2, segment)
    listener.play(RATE)
    early = listener.placement.heard(0.5 * RATE)
    assert early is not None
    assert early.seconds == pytest.approx(0.5)
    listener.placement.change(2.0, 0.0)
    last = (0, 0.0)
    while listener.ring.available:
        heard = listener.placement.heard(0)
        assert heard is not None
        assert (heard.segment, heard.seconds) >= last
        last = heard.segment, heard.seconds
        listener.play(400)
    assert last[0] == 2
    assert last[1] > 1.8


def test_before_the_first_sound_nothing_is_heard() -> None:
    assert Listener().placement.heard(0) is None


def test_skips_find_segments_that_were_placed_again() -> None:
    listener = Listener()
    for segment in range(3):
        listener.write(2, segment)
    listener.placement.change(2.0, 0.0)
    assert listener.placement.skip(2) == 2
    listener.play(400)
    heard = listener.placement.heard(400)
    assert heard is not None
    assert heard.segment == 2
    assert heard.seconds < 0.06
    assert listener.placement.skip(-1) == 1
    assert listener.placement.skip(-1) == 0, "from where the last skip leads"
    assert listener.placement.skip(5) == 5
    listener.play(0)
    listener.write(1, segment=4)
    assert listener.ring.available == 0, "a segment that is skipped is not placed"


def test_a_place_in_the_text_is_found_at_every_pace() -> None:
    listener = Listener()
    for segment in range(3):
        listener.write(2, segment)
    listener.placement.change(2.0, 0.0)
    for place in (Heard(2, 1.0), Heard(1, 0.5), Heard(0, 0.1)):
        assert listener.placement.seek(place)
        listener.play(0)
        for _ in range(2):  # before the reader has moved, and after it
            heard = listener.placement.heard(800)
            assert heard is not None
            assert heard.segment == place.segment
            assert abs(heard.seconds - place.seconds) < 0.05
            listener.play(0)
    assert not listener.placement.seek(Heard(3, 0.0))


def test_a_change_while_a_skip_is_under_way_applies_to_what_comes() -> None:
    listener = Listener()
    listener.write(4)
    listener.placement.skip(0)
    listener.placement.change(1.0, -20.0)
    listener.write(1)
    heard = listener.to_the_end()
    np.testing.assert_allclose(heard[-RATE // 2 :], listener.written[-RATE // 2 :] / 10, atol=1e-6)
