"""Devices with a rate of their own: the sound is resampled, to its last sample."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soxr

from tests import warm
from tests.harness import TTS
from tests.loudspeaker import CARD, PCM, Speaker, despite_stalls
from tests.playback.hearing import silences
from tts_cli.audio import to_pcm16

pytestmark = pytest.mark.speaker


@despite_stalls
@pytest.mark.parametrize(
    ("rate", "engines"), [(44_100, 24_000), (48_000, 24_000), (24_000, 16_000), (24_000, 44_100), (48_000, 44_100)]
)
def test_a_device_with_a_rate_and_channels_of_its_own_gets_resampled_sound(
    speaker: Speaker, rate: int, engines: int
) -> None:
    """The card takes anything, so that it is opened here as if it insisted; `engines`: the rate of the sound."""
    code = (
        "import numpy as np; from dataclasses import replace; from tts_cli.playback.devices import find_device\n"
        "from tts_cli.audio import AudioChunk; from tts_cli.segment import Segment\n"
        "from tts_cli.playback.speaker import SpeakerSink; from contextlib import closing\n"
        f"rate, device = {engines}, replace(find_device({CARD!r}, {engines}), rate={rate}, channels=2)\n"
        "with closing(SpeakerSink(device, rate)) as sink:\n"
        "    tone = (0.5 * np.sin(np.arange(2 * rate) * 2 * np.pi * 220 / rate)).astype(np.float32)\n"
        "    for start in range(0, 2 * rate, 999):\n"
        "        sink.write(AudioChunk(tone[start : start + 999], rate, Segment.of('La.')), 1.0)\n"
        "    sink.finish(); print(sink.status().starved_frames)\n"
    )
    with speaker.recording() as recording:
        done = warm.run([sys.executable, "-c", code], env=speaker.environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 0
    heard = recording.samples[recording.samples.nonzero()[0][0] :][: 2 * 24_000].astype(float) / 32767
    spectrum = np.abs(np.fft.rfft(heard[:24_000] * np.hanning(24_000)))
    assert int(spectrum.argmax()) == 220
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert silences(recording.samples) == []


@despite_stalls
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_resampled_sound_is_played_to_its_last_sample_at_a_pause_in_the_text(speaker: Speaker, rate: int) -> None:
    """A sink that is played on at its own rate: what is heard is the whole of each tone."""
    code = (
        "from tts_cli.audio import AudioChunk; from tts_cli.segment import Segment\n"
        "import sys, numpy as np; from dataclasses import replace; from tts_cli.playback.devices import find_device\n"
        "from tts_cli.playback.speaker import SpeakerSink; from contextlib import closing\n"
        f"with closing(SpeakerSink(replace(find_device(None, 24_000), rate={rate}, channels=1), 24_000)) as sink:\n"
        "    tone = (0.5 * np.sin(np.arange(12_000) * 2 * np.pi * 220 / 24_000)).astype(np.float32)\n"
        "    first, second = (AudioChunk(tone, 24_000, Segment.of('La.', number)) for number in (0, 1))\n"
        "    sink.write(first, 0.2)\n"
        "    sink.text_pending(); sink.text_pending(); print(flush=True); sys.stdin.readline()\n"
        "    sink.write(second, 0.2); sink.finish(); print(sink.status().starved_frames)\n"
    )
    speaker.add_sink("other", rate)
    with (
        speaker.recording("other", rate) as recording,
        warm.popen(
            [sys.executable, "-c", code],
            env=speaker.environment | {"PULSE_SINK": "other"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        recording.wait_for_seconds(1.5)
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stdout.read().strip() == b"0"
    tone = (0.5 * np.sin(np.arange(12_000) * 2 * np.pi * 220 / 24_000)).astype(np.float32)
    resampled = to_pcm16(soxr.resample(tone, 24_000, rate))
    pause = max(silences(recording.samples))
    assert pause > rate / 2
    loud = np.flatnonzero(recording.samples)
    first, last = loud[0], loud[-1]
    second = int(np.flatnonzero(np.diff(loud) - 1 == pause)[0])
    assert_same(recording.samples[first : loud[second] + 1], resampled)
    assert_same(recording.samples[loud[second + 1] : last + 1], resampled)


@despite_stalls
@pytest.mark.parametrize("engine", ["LowEngine", "HighEngine"])
def test_an_engine_of_another_rate_is_heard_in_its_pitch_and_length(speaker: Speaker, engine: str) -> None:
    command = [*TTS, "speak", "Hello there.", "--engine", f"tests.sample_engines:{engine}"]
    with speaker.recording() as recording:
        done = warm.run(command, env=speaker.environment)
    assert done.returncode == 0, done.stderr
    loud = np.flatnonzero(recording.samples)
    heard = recording.samples[loud[0] : loud[-1] + 1].astype(float)
    assert len(heard) / 24_000 == pytest.approx(0.85, abs=0.01)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert int(spectrum.argmax()) * 24_000 / len(heard) == pytest.approx(220, abs=2)
    assert silences(recording.samples) == []


def assert_same(heard: PCM, sound: PCM) -> None:
    """Equal but for the smallest differences, and for silence at both ends of `sound`."""
    loud = np.flatnonzero(sound)
    assert abs(len(heard) - (loud[-1] + 1 - loud[0])) <= 2
    assert np.abs(heard[:-2].astype(int) - sound[loud[0] :][: len(heard) - 2]).max() <= 1
