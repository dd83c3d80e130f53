"""A device that is played on in a process of its own: how that starts, fails, stalls and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests import warm
from tests.harness import PATIENCE, TTS
from tests.loudspeaker import CARD, Speaker, despite_stalls
from tts_cli.audio import Samples
from tts_cli.playback.device_stream import StreamError
from tts_cli.playback.devices import Device
from tts_cli.playback.process_stream import ProcessStream

pytestmark = pytest.mark.speaker

RATE = 24_000
ELSEWHERE = 99
"""Another number than the device has."""
DEVICE = Device(ELSEWHERE, CARD, "ALSA", 1, RATE, default=False)
SPEAK = [*TTS, "speak", "-q", "word " * 40, "--engine", "tests.sample_engines:ToneEngine", "--output-device", CARD]
NOISE: Samples = np.random.default_rng(1).uniform(0.1, 0.5, 3 * RATE).astype(np.float32)


@pytest.fixture(autouse=True)
def here(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of this process play on the speaker."""
    for name, value in speaker.environment.items():
        monkeypatch.setenv(name, value)


def feed(stream: ProcessStream, samples: Samples) -> None:
    """Give it samples as it asks for them."""
    while len(samples):
        wanted = stream.writable()
        stream.write(samples[:wanted])
        samples = samples[wanted:]
        stream.turn(PATIENCE)


def player(speaker: Speaker) -> int:
    """The process that plays."""
    shown = subprocess.check_output(["pactl", "list", "sink-inputs"], env=speaker.environment, text=True)
    (number,) = (line.split('"')[1] for line in shown.splitlines() if "application.process.id" in line)
    return int(number)


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.01)


@despite_stalls
def test_what_was_written_is_heard_and_nothing_stays(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        with closing(ProcessStream(DEVICE)) as stream:
            process = player(speaker)
            feed(stream, NOISE)
            feed(stream, np.zeros(RATE // 2, np.float32))
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    heard = np.trim_zeros(recording.exact)
    assert np.array_equal(heard, NOISE)


@despite_stalls
def test_sockets_that_take_little_lose_nothing(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    real = socket.socketpair

    def small() -> tuple[socket.socket, socket.socket]:
        pair = real()
        for end in pair:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # Linux makes it 4608 bytes
        return pair

    monkeypatch.setattr(socket, "socketpair", small)
    with speaker.recording() as recording, closing(ProcessStream(DEVICE)) as stream:
        feed(stream, NOISE)
        assert stream.replace(NOISE[: RATE // 10], lambda: False) is not None
        feed(stream, np.zeros(RATE // 2, np.float32))
    heard = np.trim_zeros(recording.exact)
    begin = len(heard) - RATE // 10
    assert np.array_equal(heard[begin:], NOISE[: RATE // 10])
    assert np.array_equal(heard[: begin - stream.ahead], NOISE[: begin - stream.ahead])


def test_files_of_the_working_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("socket.py", "sounddevice.py", "tts_cli.py"):
        (tmp_path / name).write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    with closing(ProcessStream(DEVICE)) as stream:
        feed(stream, NOISE[: 2 * stream.length])


def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(StreamError, match="it is gone"):
        ProcessStream(Device(0, "Ländle", "ALSA", 1, RATE, default=False))


def test_a_device_that_cannot_be_opened_is_an_error(speaker: Speaker) -> None:
    """With the words of PortAudio."""
    with pytest.raises(StreamError, match="Invalid number of channels"):
        ProcessStream(Device(0, CARD, "ALSA", 999, RATE, default=False))


def test_a_device_that_ran_dry_twice_stores_more_from_then_on(speaker: Speaker) -> None:
    with speaker.recording() as recording, closing(ProcessStream(DEVICE)) as stream:
        feed(stream, NOISE[:RATE])
        dry, delay = stream.ran_dry(), stream.delay
        process = player(speaker)
        for _ in range(2):
            os.kill(process, signal.SIGSTOP)
            recording.wait_for_seconds(0.5)
            os.kill(process, signal.SIGCONT)
            feed(stream, NOISE[:RATE])
        assert stream.ran_dry() > dry
        assert stream.delay > 1.9 * delay
        begin = recording.seconds
        recording.wait_for_seconds(0.1)
    assert recording.samples[round(begin * RATE) :].any(), "it does not play any more"


def test_a_process_that_is_killed_is_an_error(speaker: Speaker) -> None:
    with closing(ProcessStream(DEVICE)) as stream:
        feed(stream, NOISE[:RATE])
        os.kill(player(speaker), signal.SIGKILL)
        with pytest.raises(StreamError, match="has ended"):
            feed(stream, np.tile(NOISE, 100))


def test_a_device_that_ends_is_an_error(speaker: Speaker) -> None:
    with closing(ProcessStream(DEVICE)) as stream:
        feed(stream, NOISE[:RATE])
        speaker.kill()
        with pytest.raises(StreamError, match="the device has ended the stream"):
            feed(stream, np.tile(NOISE, 100))


def test_a_process_that_hangs_is_ended(speaker: Speaker) -> None:
    """However much is still to be sent to it."""
    stream = ProcessStream(DEVICE)
    process = player(speaker)
    os.kill(process, signal.SIGSTOP)
    for _ in range(100):
        stream.write(NOISE)
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_process_whose_device_hangs_ends_by_itself(speaker: Speaker) -> None:
    stream = ProcessStream(DEVICE)
    feed(stream, NOISE[:RATE])
    with speaker.frozen():
        stream._link.close()
        assert stream._process is not None
        stream._process.wait(20)  # less than PulseAudio's own patience
    stream.close()


def test_a_killed_speaker_leaves_no_process(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        speaking = warm.popen(SPEAK, env=speaker.environment, stdin=subprocess.DEVNULL)
        recording.wait_for_sound()
        process = player(speaker)
        speaking.kill()
        speaking.wait()
        wait_until_gone(process)


def test_a_speaker_whose_player_is_killed_says_so(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        speaking = warm.popen(SPEAK, env=speaker.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        recording.wait_for_sound()
        os.kill(player(speaker), signal.SIGKILL)
        _, message = speaking.communicate(timeout=PATIENCE)
    assert speaking.returncode == 1
    assert message.decode().startswith(
        f"tts: the audio device {CARD!r} has stopped playing (the process that plays has"
    )


def test_a_process_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts_cli.playback.process_stream.PATIENCE_SECONDS", 0)
    with pytest.raises(StreamError, match="does not answer"):
        ProcessStream(DEVICE)
