"""Through a real audio system into a null sink: what its monitor heard is the sound that was computed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from harness import PATIENCE, TTS, Recording, Speaker

pytestmark = pytest.mark.speaker

LONG_TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years. Nobody hurried. "
    "At half past seven the bakery opened its door, and the smell of warm bread drifted over the water. A dog barked "
    "twice, thought better of it, and lay down in the sun. By eight o'clock the town was awake, and the day began."
)


def say(speaker: Speaker, *arguments: str, **options: object) -> tuple[Recording, dict[str, object]]:
    """Run `tts speak --json` on the speaker; what was heard, and what it reported."""
    with speaker.recording() as recording:
        result = subprocess.run(  # type: ignore[call-overload]
            [*TTS, "speak", "--json", *arguments],
            env=speaker.environment,
            check=True,
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            **options,
        )
    return recording, json.loads(result.stdout)


def written(speaker: Speaker, folder: Path, *arguments: str) -> np.ndarray:
    """The same words into a file: int16 `[n]`."""
    subprocess.run([*TTS, "speak", "-q", "-o", "x.wav", *arguments], env=speaker.environment, cwd=folder, check=True)
    return soundfile.read(folder / "x.wav", dtype="int16")[0]


def heard_of(recording: Recording, sound: np.ndarray) -> np.ndarray:
    """The part of the recording that lines up with `sound`, found by the loudest part of its first second."""
    heard = recording.samples.astype(float)
    probe = sound[:24_000].astype(float)
    size = 1 << (len(heard) + len(probe)).bit_length()
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(probe, size)), size)
    start = int(match[: len(heard)].argmax())
    assert len(heard) >= start + len(sound), "the recording ends before the sound does"
    return recording.samples[start : start + len(sound)]


def silences(samples: np.ndarray) -> list[int]:
    """Lengths of the runs of exact silence between the first and the last sound."""
    loud = np.flatnonzero(samples)
    gaps = np.diff(loud) - 1
    return [int(gap) for gap in gaps if gap > 100]


@pytest.mark.slow
@pytest.mark.parametrize("busy", [0, 4])
def test_thirty_seconds_arrive_complete(speaker: Speaker, tmp_path: Path, busy: int) -> None:
    sound = written(speaker, tmp_path, LONG_TEXT)
    assert 25 < len(sound) / 24_000 < 45
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        recording, report = say(speaker, LONG_TEXT)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert report["starved_frames"] == 0
    difference = heard_of(recording, sound).astype(int) - sound
    assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_a_slow_engine_plays_without_a_gap(speaker: Speaker) -> None:
    recording, report = say(speaker, "word " * 20, "--engine", "engines_for_tests:SlowEngine")
    assert report["rtf"] > 1.4
    assert report["starved_frames"] == 0
    assert silences(recording.samples) == []
    assert np.count_nonzero(recording.samples) / 24_000 == pytest.approx(7.0, abs=0.1)


def test_a_stall_fades_out_and_in_again(speaker: Speaker) -> None:
    recording, report = say(speaker, "word " * 12, "--engine", "engines_for_tests:StallingEngine", "--chunk", "5")
    assert report["starved_frames"] > 0
    assert len(silences(recording.samples)) == 1
    steepest = np.abs(np.diff(recording.samples.astype(int))).max() / 32767
    # A tone of 220 Hz at 0.5 moves by 0.029 a sample; a 5 ms fade on top of it by 0.007 more.
    assert steepest < 0.04


def test_waiting_for_text_is_not_starving(speaker: Speaker) -> None:
    command = [*TTS, "speak", "--json", "-q"]
    with (
        speaker.recording() as recording,
        subprocess.Popen(command, env=speaker.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"First.\n")
        process.stdin.flush()
        recording.wait_for_sound()
        recording.wait_for_seconds(1.5)
        process.stdin.write(b"Second.\n")
        process.stdin.close()
        report = json.loads(process.stdout.read())
    assert report["starved_frames"] == 0
    assert max(silences(recording.samples)) > 2000


def test_ctrl_c_is_silent_within_100_ms_and_exits_130(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        process = subprocess.Popen(
            [*TTS, "speak", "word " * 200, "--engine", "engines_for_tests:ToneEngine"],
            env=speaker.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        recording.wait_for_sound()
        recording.wait_for_seconds(0.5)
        position = len(recording.samples)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        assert b"interrupted" in process.stderr.read()
        process.stderr.close()
    last = int(np.flatnonzero(recording.samples)[-1])
    # The recorder itself is some milliseconds behind.
    assert (last - position) / 24_000 < 0.1


def test_an_engine_that_does_not_end_is_left_behind(environment: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*TTS, "speak", "word " * 20, "--engine", "engines_for_tests:StuckEngine", "-o", "-", "--raw"],
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
        process = subprocess.Popen(
            [*TTS, "speak", "word " * 20, "--engine", "engines_for_tests:StuckEngine", "--chunk", "10"],
            env=speaker.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        recording.wait_for_sound()
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert process.returncode in (-signal.SIGINT, 130)


def test_a_speaker_that_disappears_is_an_error_not_a_hang(speaker: Speaker) -> None:
    with speaker.recording() as recording:
        process = subprocess.Popen(
            [*TTS, "speak", LONG_TEXT, "--voice", "heart"],
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


def test_a_device_by_number_and_by_name(speaker: Speaker) -> None:
    listed = subprocess.run(
        [*TTS, "devices"], env=speaker.environment, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout
    assert "pulse" in listed
    for name in ("pulse", "0"):
        recording, _ = say(speaker, "Hello.", "--output-device", name)
        assert np.abs(recording.samples).max() > 1000
    refused = subprocess.run(
        [*TTS, "speak", "Hello.", "--output-device", "bob"], env=speaker.environment, capture_output=True, check=False
    )
    assert refused.returncode == 2
    assert b"tts devices" in refused.stderr


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_device_with_a_rate_and_channels_of_its_own_gets_resampled_sound(speaker: Speaker, rate: int) -> None:
    """The null sink takes anything, so that it is opened here as if it insisted."""
    code = (
        "import numpy as np; from dataclasses import replace; from tts_cli.sinks.devices import find_device\n"
        "from tts_cli.sinks.speaker import SpeakerSink; from contextlib import closing\n"
        f"with closing(SpeakerSink(replace(find_device(None), rate={rate}, channels=2))) as sink:\n"
        "    tone = (0.5 * np.sin(np.arange(48_000) * 2 * np.pi * 220 / 24_000)).astype(np.float32)\n"
        "    [sink.write(tone[start : start + 999], 0.1) for start in range(0, 48_000, 999)]\n"
        "    sink.finish(); assert sink.status().starved_frames == 0\n"
    )
    with speaker.recording() as recording:
        subprocess.run([sys.executable, "-c", code], env=speaker.environment, check=True, stderr=subprocess.DEVNULL)
    heard = recording.samples[recording.samples.nonzero()[0][0] :][: 2 * 24_000].astype(float) / 32767
    spectrum = np.abs(np.fft.rfft(heard[:24_000] * np.hanning(24_000)))
    assert int(spectrum.argmax()) == 220
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert silences(recording.samples) == []


def test_file_and_speaker_together(speaker: Speaker, tmp_path: Path) -> None:
    recording, _ = say(speaker, "Both of them.", "-o", "both.wav", "--play", cwd=tmp_path)
    sound, _ = soundfile.read(tmp_path / "both.wav", dtype="int16")
    assert np.abs(heard_of(recording, sound).astype(int) - sound).max() <= 1
