"""What a device gets: every sample once, and no click however the sound arrives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.audio import Samples
from tts_cli.playback.playout import FADE_SECONDS, Playout
from tts_cli.playback.ring import Ring

RATE = 24_000
FADE = round(FADE_SECONDS * RATE)
STEEPEST = np.pi / 2 / FADE * 1.05
"""The largest step between two samples in a raised-cosine fade of a constant 1."""


def playout(samples: npt.NDArray[np.floating[Any]]) -> Playout:
    result = Playout(Ring(200_000), RATE)
    result.ring.write(samples.astype(np.float32))
    return result


def blocks(player: Playout, *sizes: int) -> Samples:
    played = []
    for size in sizes:
        out = np.full(size, 9.0, np.float32)
        player.fill(out)
        played.append(out)
    return np.concatenate(played)


def test_is_silent_until_it_is_opened_and_counts_none_of_that_as_starved() -> None:
    player = playout(np.ones(1000))
    assert (blocks(player, 512, 512) == 0).all()
    assert player.starved_frames == 0


@given(st.lists(st.integers(1, 900), min_size=1, max_size=40), st.integers(0, 5000))
def test_plays_every_sample_once_and_unchanged_when_all_of_it_is_there(sizes: list[int], length: int) -> None:
    sound = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    player = playout(sound)
    player.draining = True
    heard = blocks(player, *sizes, length)
    assert np.array_equal(heard[:length], sound)
    assert (heard[length:] == 0).all()
    assert player.starved_frames == 0


@given(
    arrivals=st.lists(st.integers(0, 1500), min_size=1, max_size=20), block=st.sampled_from([64, 256, 600, 1200, 2400])
)
def test_starvation_never_clicks_and_loses_no_sample(arrivals: list[int], block: int) -> None:
    """A constant 1 arrives in bursts. However they fall, what is heard moves no faster than a fade does."""
    player = Playout(Ring(200_000), RATE)
    heard = [np.zeros(1, np.float32)]
    # Sound that starts out of silence is the engine's own affair: it begins with a fade here.
    player.ring.write(np.sin(np.linspace(0, np.pi / 2, 500)).astype(np.float32))
    for count in arrivals:
        player.ring.write(np.ones(count, np.float32))
        player.needed = FADE + 1
        heard.append(blocks(player, block))
    starved = player.starved_frames
    player.ring.write(np.ones(2 * FADE, np.float32))
    player.draining = True
    remaining = player.ring.available
    heard.append(blocks(player, remaining))
    assert np.abs(np.diff(np.concatenate(heard))).max() <= STEEPEST
    assert player.played_frames == 500 + sum(arrivals) + 2 * FADE
    assert starved <= len(arrivals) * block


def test_counts_the_silence_of_a_starvation_until_it_is_opened_again() -> None:
    player = playout(np.ones(1000))
    player.needed = 1
    blocks(player, 600)
    player.needed = 2000
    heard = blocks(player, 600, 600)
    assert heard[:400].any()
    assert (heard[400:] == 0).all()
    assert not player.playing
    assert player.starved_frames == 800
    player.ring.write(np.ones(2000, np.float32))
    resumed = blocks(player, 600)
    assert resumed[0] < 0.01
    assert resumed[-1] == 1.0
    assert player.starved_frames == 800


def test_at_hand_is_what_can_be_filled_without_a_gap() -> None:
    player = playout(np.ones(1000))
    assert player.at_hand(600) == 600, "silence is always at hand"
    player.needed = 1
    blocks(player, 400)
    assert player.at_hand(300) == 300
    assert player.at_hand(600) == 600 - FADE
    blocks(player, 600 - FADE)
    assert player.at_hand(100) == 0
    assert player.starved_frames == 0
    player.draining = True
    assert player.at_hand(600) == 600, "the ring holds all that there is"


def test_what_is_to_be_drained_is_not_shut_in_by_a_block_that_is_filled_at_that_moment() -> None:
    class Interleaved(Ring):
        def read(self, out: Samples) -> int:
            player.draining = True
            return super().read(out)

    player = Playout(Interleaved(1000), RATE)
    player.ring.write(np.ones(650, np.float32))
    player.needed = 1
    blocks(player, 600)
    heard = blocks(player, 600)
    assert np.count_nonzero(heard) > 0
    assert player.played_frames == 650


def test_cut_fades_out_within_five_milliseconds_and_stays_silent() -> None:
    player = playout(np.ones(5000))
    player.needed = 1
    before = blocks(player, 480)
    player.cut = True
    after = blocks(player, 480, 480)
    assert np.abs(np.diff(np.concatenate([before, after]))).max() <= STEEPEST
    assert (after[FADE:] == 0).all()


PAUSES = st.lists(st.tuples(st.booleans(), st.integers(1, 900)), min_size=1, max_size=40)


@given(PAUSES)
def test_a_pause_loses_and_repeats_no_sample_and_does_not_click(steps: list[tuple[bool, int]]) -> None:
    sound = np.linspace(0.1, 1, 60_000).astype(np.float32)
    player = playout(sound)
    player.draining = True
    heard, expected = [], 0
    for paused, size in steps:
        player.paused = paused
        before = player.ring.position
        out = blocks(player, size)
        taken = player.ring.position - before
        assert taken <= (FADE if paused else size)
        assert (out[taken:] == 0).all()
        assert (np.abs(out[:taken]) <= np.abs(sound[expected : expected + taken])).all()
        expected += taken
        heard.append(out)
    assert expected == player.played_frames == player.ring.position
    assert player.starved_frames == 0
    whole = np.concatenate([np.full(1, 0.1, np.float32), *heard])
    # Blocks shorter than a fade hold a shorter, steeper one.
    if min(size for _, size in steps) >= 2 * FADE:
        assert np.abs(np.diff(whole)).max() <= STEEPEST + 0.11


def test_paused_sound_is_silent_within_a_fade_and_goes_on_with_the_next_sample() -> None:
    sound = np.linspace(0.5, 0.6, 5000).astype(np.float32)
    player = playout(sound)
    player.draining = True
    blocks(player, 480)
    player.paused = True
    silence = blocks(player, 480, 480)
    assert (silence[FADE:] == 0).all()
    player.paused = False
    resumed = blocks(player, 480)
    assert np.array_equal(resumed[FADE:], sound[480 + FADE : 960 + FADE][FADE:])


@given(back=st.integers(0, 3000), ahead=st.integers(0, 3000), forward=st.booleans())
def test_a_skip_fades_out_and_goes_on_exactly_where_it_was_asked_for(back: int, ahead: int, forward: bool) -> None:
    sound = np.random.default_rng(3).uniform(0.2, 1, 9000).astype(np.float32)
    player = Playout(Ring(9000, history=9000), RATE)
    player.ring.write(sound)
    player.draining = True
    blocks(player, 3000)
    target = player.ring.want(3000 + ahead if forward else 3000 - back)
    faded = blocks(player, 400)
    assert (faded[FADE:] == 0).all()
    resumed = blocks(player, 400)
    assert player.ring.position == target + 400
    assert np.array_equal(resumed[FADE:], sound[target + FADE : target + 400])
    assert player.starved_frames == 0


def test_sound_after_a_drained_stretch_gathers_anew() -> None:
    player = playout(np.ones(500))
    player.needed, player.draining = 400, True
    blocks(player, 600)
    player.draining = False
    player.ring.write(np.ones(300, np.float32))
    assert (blocks(player, 100) == 0).all()
    player.ring.write(np.ones(300, np.float32))
    assert (blocks(player, 100) == 1).all()


@given(taken=st.integers(FADE, 900), played=st.integers(900, 3000), draining=st.booleans())
def test_what_a_device_gives_back_is_played_next_after_a_fade_in(taken: int, played: int, draining: bool) -> None:
    sound = np.random.default_rng(5).uniform(0.2, 1, played).astype(np.float32)
    player = Playout(Ring(9000, history=9000), RATE)
    player.ring.write(sound)
    player.needed, player.draining = 1, draining
    blocks(player, played)
    player.paused = True
    player.hush()
    player.take_back(taken)
    assert (blocks(player, 300) == 0).all()
    assert player.ring.available == taken
    player.paused, player.draining = False, True
    assert player.opening
    heard = blocks(player, taken)
    assert np.array_equal(heard[FADE:], sound[played - taken :][FADE:])
    assert (heard[:FADE] <= sound[played - taken :][:FADE]).all()
    assert heard[0] < 0.1
    assert player.played_frames == played
