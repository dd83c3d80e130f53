"""A device that is played on through a process of its own: how that starts, fails, stalls and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests import warm
from tests.harness import PATIENCE, TTS
from tests.loudspeaker import CARD, Speaker
from tts_cli.playback.devices import Device
from tts_cli.playback.player_process import PlayerProcess
from tts_cli.playback.sound_server import ServerError

pytestmark = pytest.mark.speaker

ELSEWHERE = 99
"""Another number than the device has."""
SPEAK = [*TTS, "speak", "-q", "word " * 40, "--engine", "tests.sample_engines:ToneEngine", "--output-device", CARD]


@pytest.fixture
def card(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device that the processes of this process play on."""
    for name, value in speaker.environment.items():
        monkeypatch.setenv(name, value)
    return Device(ELSEWHERE, CARD, "ALSA", 1, 24_000, default=False)


def feed(server: PlayerProcess, count: int) -> int:
    """Give it noise, as it asks for it, and return how much that was: at least `count` samples."""
    noise = np.random.default_rng(1).uniform(0.1, 0.5, server.length).astype(np.float32)
    given = 0
    while given < count:
        if wanted := server.writable():
            server.write(noise[:wanted], server.end)
            given += wanted
        else:
            server.turn(PATIENCE)
    return given


def players(speaker: Speaker) -> list[int]:
    """The processes that play."""
    shown = subprocess.check_output(["pactl", "list", "sink-inputs"], env=speaker.environment, text=True)
    return [int(line.split('"')[1]) for line in shown.splitlines() if "application.process.id" in line]


def test_what_was_written_is_heard_and_nothing_stays(speaker: Speaker, card: Device) -> None:
    with speaker.recording() as recording:
        files = len([*Path("/proc/self/fd").iterdir()])
        with closing(PlayerProcess(card)) as server:
            feed(server, 48_000)
            assert players(speaker)
        assert len([*Path("/proc/self/fd").iterdir()]) == files
        assert np.count_nonzero(recording.samples) > 24_000
    assert not players(speaker)


def test_files_of_the_working_folder_are_not_imported(
    card: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("socket.py", "sounddevice.py", "tts_cli.py"):
        (tmp_path / name).write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    with closing(PlayerProcess(card)) as server:
        feed(server, 2 * server.length)


def test_a_device_that_is_not_there_is_an_error(speaker: Speaker, card: Device) -> None:
    with pytest.raises(ServerError, match="it is gone"):
        PlayerProcess(Device(0, "nobody", "ALSA", 1, 24_000, default=False))
    speaker.kill()
    with pytest.raises(ServerError, match=r"\w"):
        PlayerProcess(card)


def test_a_device_that_ran_dry_stores_more_from_then_on(speaker: Speaker, card: Device) -> None:
    with speaker.recording() as recording, closing(PlayerProcess(card)) as server:
        feed(server, 24_000)
        dry, delay = server.ran_dry(), server.delay
        assert delay < 0.05 * 24_000
        (player,) = players(speaker)
        os.kill(player, signal.SIGSTOP)
        recording.wait_for_seconds(0.5)
        os.kill(player, signal.SIGCONT)
        feed(server, 36_000)
        assert server.ran_dry() > dry
        assert server.delay == pytest.approx(2 * delay, rel=0.1)
        begin = recording.seconds
        recording.wait_for_seconds(0.3)
    assert recording.samples[round(begin * 24_000) :].any(), "it does not play any more"


def test_a_process_that_is_killed_is_an_error(speaker: Speaker, card: Device) -> None:
    with closing(PlayerProcess(card)) as server:
        feed(server, 24_000)
        (player,) = players(speaker)
        os.kill(player, signal.SIGKILL)
        with pytest.raises(ServerError):
            feed(server, 1 << 30)


def test_a_process_that_hangs_is_ended(speaker: Speaker, card: Device) -> None:
    server = PlayerProcess(card)
    feed(server, 24_000)
    (player,) = players(speaker)
    os.kill(player, signal.SIGSTOP)
    server.close()
    with pytest.raises(ProcessLookupError):
        os.kill(player, 0)


def test_a_killed_speaker_leaves_no_process(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        process = warm.popen(SPEAK, env=speaker.environment, stdin=subprocess.DEVNULL)
        recording.wait_for_sound()
        process.kill()
        process.wait()
        deadline = time.monotonic() + PATIENCE
        while players(speaker):
            assert time.monotonic() < deadline


def test_a_speaker_whose_player_is_killed_says_so(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        process = warm.popen(SPEAK, env=speaker.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        recording.wait_for_sound()
        (player,) = players(speaker)
        os.kill(player, signal.SIGKILL)
        _, message = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert message.decode().startswith(f"tts: the audio device {CARD!r} has stopped playing")
