"""Pause, resume and skip, through a real audio system: what its monitor heard has nothing lost and nothing repeated."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tts_cli
from tests import warm
from tests.loudspeaker import CARD, PCM, Recording, Speaker, despite_stalls
from tts_cli.audio import Samples, to_pcm16
from tts_cli.playback.playout import FADE_SECONDS

pytestmark = pytest.mark.speaker

TEXT = "The harbour was quiet when the boats came in. Gulls circled above. Two children counted."
DEVICES = pytest.mark.parametrize("device", ["default", CARD])
FADES = 2 * round(FADE_SECONDS * 24_000)
CONTROL = """
import sys, tts_cli
with tts_cli.load("builtin") as tts:
    utterance = tts.start(sys.argv[1], device=sys.argv[2])

    def heard(seconds):
        while not utterance.wait(0.005):
            status = utterance.ready.sink.status() if utterance.ready else None
            if status and status.delivered - status.buffered >= seconds:
                return
        raise SystemExit("it has ended too soon")

    def silent():
        while utterance.ready.sink.status().playing:
            utterance.wait(0.005)

    {steps}
    utterance.result()
"""


def steered(speaker: Speaker, device: str, steps: str) -> Recording:
    """What is heard of `TEXT` on a device while `steps` are taken."""
    code = CONTROL.replace("{steps}", steps.replace("\n", "\n    "))
    with speaker.recording() as recording:
        done = warm.run([sys.executable, "-c", code, TEXT, device], env=speaker.environment)
    assert done.returncode == 0, done.stderr
    return recording


def sound() -> tuple[PCM, list[int]]:
    """The whole of `TEXT`, int16, and where its segments begin."""
    chunks = list(tts_cli.stream(TEXT, engine="builtin"))
    starts, length, number = [], 0, -1
    for chunk in chunks:
        if chunk.segment.number != number:
            starts.append(length)
            number = chunk.segment.number
        length += len(chunk.samples)
    return to_pcm16(np.concatenate([chunk.samples for chunk in chunks])), starts


def trimmed(samples: PCM) -> PCM:
    loud = np.flatnonzero(samples)
    return samples[loud[0] : loud[-1] + 1]


def same_from_the_front(heard: PCM, expected: PCM) -> int:
    """How many samples are equal before the first that is not."""
    length = min(len(heard), len(expected))
    differs = np.flatnonzero(heard[:length] != expected[:length])
    return int(differs[0]) if len(differs) else length


@despite_stalls
@DEVICES
def test_a_pause_loses_and_repeats_nothing(speaker: Speaker, device: str) -> None:
    steps = "heard(1.0)\nutterance.pause()\nsilent()\nutterance.wait(0.5)\nutterance.resume()"
    heard, expected = trimmed(steered(speaker, device, steps).samples), trimmed(sound()[0])
    before = same_from_the_front(heard, expected)
    after = same_from_the_front(heard[::-1], expected[::-1])
    silence = len(heard) - len(expected)
    assert silence > 0.4 * 24_000
    assert 0.5 * 24_000 < before < len(expected) - 24_000
    # What is neither equal before nor equal after is what was faded, out and in again.
    assert len(expected) - before - after <= FADES
    pause = heard[before : len(heard) - after]
    assert not pause[FADES // 2 : -FADES // 2].any()


@despite_stalls
@DEVICES
def test_a_skip_goes_to_where_the_next_segment_begins(speaker: Speaker, device: str) -> None:
    heard = trimmed(steered(speaker, device, "heard(0.8)\nutterance.skip(1)").samples)
    whole, starts = sound()
    rest = trimmed(whole[starts[1] :])
    assert same_from_the_front(heard[::-1], rest[::-1]) >= len(rest) - FADES
    assert same_from_the_front(heard, trimmed(whole)) < starts[1]


@despite_stalls
@DEVICES
def test_a_skip_back_plays_a_segment_again(speaker: Speaker, device: str) -> None:
    whole, starts = sound()
    begun = starts[1] / 24_000 + 0.5
    heard = trimmed(steered(speaker, device, f"heard({begun})\nutterance.skip(-1)").samples)
    expected = trimmed(whole)
    assert same_from_the_front(heard[::-1], expected[::-1]) >= len(expected) - FADES
    assert same_from_the_front(heard, expected) > starts[1]


@despite_stalls
@DEVICES
def test_a_cancelled_utterance_is_silent_and_ends(speaker: Speaker, device: str) -> None:
    recording = steered(speaker, device, "heard(0.8)\nutterance.cancel()\nassert utterance.wait(60)")
    assert len(trimmed(recording.samples)) < 1.5 * 24_000


NOISE = "np.random.default_rng(1).uniform(0.1, 0.5, 6 * 24_000).astype(np.float32)"
"""A sound without a sample of silence."""
PAUSED = f"""
import sys, time, numpy as np
from contextlib import closing
from tts_cli.audio import AudioChunk
from tts_cli.playback.opening import open_speaker
from tts_cli.segment import Segment

def heard():
    place = sink.status().heard
    return 0 if place is None else place.seconds

with closing(open_speaker(sys.argv[1], 24_000)) as sink:
    sink.write(AudioChunk({NOISE}, 24_000, Segment.of("La.")), 0.2)
    for number in range(7):
        while heard() < 0.4 + 0.7 * number:
            time.sleep(0.002)
        print(round(heard() * 24_000))
        sink.pause()
        time.sleep(0.4)
        sink.resume()
    sink.finish()
"""


def runs(heard: Samples) -> list[Samples]:
    """What is heard between silences."""
    loud = np.flatnonzero(heard)
    return [heard[part[0] : part[-1] + 1] for part in np.split(loud, np.flatnonzero(np.diff(loud) > 1) + 1)]


@despite_stalls
@DEVICES
def test_a_pause_is_heard_within_50_ms_and_the_next_sample_follows_it(speaker: Speaker, device: str) -> None:
    """Counted in samples, by what the device says that it has."""
    with speaker.recording() as recording:
        done = warm.run([sys.executable, "-c", PAUSED, device], env=speaker.environment)
    assert done.returncode == 0, done.stderr
    expected: Samples = eval(NOISE)
    end, ends, faded = 0, [], 0
    for run in runs(recording.exact):
        sound = expected[end : end + len(run)]
        assert (run <= sound).all()
        assert np.array_equal(run[FADES // 2 : -FADES // 2], sound[FADES // 2 : -FADES // 2])
        faded += bool((run[-FADES // 2 :] < sound[-FADES // 2 :]).all())
        end += len(run)
        ends.append(end)
    assert end == len(expected)
    assert len(ends) >= 8
    paused = [int(line) for line in done.stdout.split()]
    delays = sorted(min(end for end in ends if end >= position) - position for position in paused)
    # A stall of the machine makes one pause late, and its fade may come too late: more than half of all pauses count.
    assert delays[len(delays) // 2] <= 0.05 * 24_000
    assert faded > len(paused) / 2
