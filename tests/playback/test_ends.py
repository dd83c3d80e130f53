"""How playing ends early: Ctrl-C, an engine that does not end, a device that has gone."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from tests import warm
from tests.harness import PATIENCE, TTS
from tests.loudspeaker import CARD, Speaker
from tts_cli.playback.speaker import _Pulse

pytestmark = pytest.mark.speaker


TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years."
)


@pytest.mark.parametrize("device", ["default", CARD])
def test_ctrl_c_is_silent_within_100_ms_and_exits_130(speaker: Speaker, device: str) -> None:
    # A busy machine may be slower, the product never faster than it is: the best of some attempts counts.
    seconds = [silent_after_ctrl_c(speaker, device)]
    while seconds[-1] >= 0.1 and len(seconds) < 4:
        seconds.append(silent_after_ctrl_c(speaker, device))
    assert min(seconds) < 0.1, seconds


def silent_after_ctrl_c(speaker: Speaker, device: str) -> float:
    """Seconds from Ctrl-C to the last sound. The recorder itself is some milliseconds behind."""
    with speaker.recording() as recording:
        process = warm.popen(
            [*TTS, "speak", "word " * 200, "--engine", "tests.sample_engines:ToneEngine", "--output-device", device],
            env=speaker.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        recording.wait_for_sound()
        recording.wait_for_seconds(0.5)
        position = recording.seconds
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        assert b"interrupted" in process.stderr.read()
        process.stderr.close()
    return int(np.flatnonzero(recording.samples)[-1]) / 24_000 - position


def test_an_engine_that_does_not_end_is_left_behind(environment: dict[str, str], tmp_path: Path) -> None:
    process = warm.popen(
        [*TTS, "speak", "word " * 20, "--engine", "tests.sample_engines:StuckEngine", "-o", "-", "--raw"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert len(process.stdout.read(2 * 9600 * 2)) == 2 * 9600 * 2
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert message.startswith(b"interrupted")


def test_a_second_ctrl_c_kills(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        process = warm.popen(
            [*TTS, "speak", "word " * 20, "--engine", "tests.sample_engines:StuckEngine", "--chunk", "10"],
            env=speaker.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        recording.wait_for_sound()
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert process.returncode in (-signal.SIGINT, 130)


@pytest.mark.parametrize("device", ["default", CARD])
def test_a_speaker_that_disappears_is_an_error_not_a_hang(speaker: Speaker, device: str) -> None:
    with speaker.recording() as recording:
        process = warm.popen(
            [*TTS, "speak", TEXT, "--voice", "heart", "--output-device", device],
            env=speaker.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        recording.wait_for_sound()
        speaker.kill()
        assert process.stderr is not None
        message = process.stderr.read().decode()
        assert process.wait(PATIENCE) == 1
        process.stderr.close()
        assert "has stopped playing" in message
        assert len(message.splitlines()) == 1


@pytest.mark.parametrize("spoken_before", [True, False])
@pytest.mark.parametrize("unplugged", [True, False], ids=["unplugged", "silent"])
def test_a_speaker_that_disappears_while_text_is_waited_for_is_noticed_within_2_s(
    speaker: Speaker, spoken_before: bool, unplugged: bool
) -> None:
    with (
        speaker.recording() as recording,
        warm.popen(
            [*TTS, "speak", "-q", "--engine", "tests.sample_engines:ToneEngine"],
            env=speaker.environment,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stderr is not None
        if spoken_before:
            process.stdin.write(b"First.\n")
            process.stdin.flush()
            recording.wait_for_sound()
        else:
            speaker.wait_for_player()
        recording.wait_for_seconds(recording.seconds + 0.5)
        with nullcontext() if unplugged else speaker.frozen():
            began = time.monotonic()
            if unplugged:
                speaker.kill()
            message = process.stderr.read().decode()
            took = time.monotonic() - began
            assert process.wait(PATIENCE) == 1
    assert "has stopped playing" in message
    assert len(message.splitlines()) == 1
    assert took < 10  # 2 s on a machine that has nothing else to do


@pytest.mark.parametrize(("asked", "seconds"), [(4800, 5.0), (14_400, 1.2)], ids=["wakes", "plays"])
def test_a_device_may_take_longer_to_ask_before_it_plays(asked: int, seconds: float) -> None:
    pulse = _Pulse(0.1)
    looks = [pulse.beats(asked, buffered=10_800) for _ in range(60)]
    assert looks.index(False) == pytest.approx(10 * seconds, abs=1)
