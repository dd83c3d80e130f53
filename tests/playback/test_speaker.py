"""Through a real audio system into a null sink: what its monitor heard is the sound that was computed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import warm
from tests.harness import PATIENCE, TTS
from tests.loudspeaker import Speaker, despite_stalls, gaps
from tests.playback.hearing import say, silences, written

pytestmark = pytest.mark.speaker

LAST = "On the quay an old man mended his nets; he had done so every morning for forty years."
TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    f"the crates. {LAST}"
)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "seconds", "busy"), [(TEXT, 12, 0), (LAST, 5, 4)], ids=["quiet", "busy"])
def test_every_sample_arrives(speaker: Speaker, tmp_path: Path, text: str, seconds: int, busy: int) -> None:
    """In its order, whatever the machine does. Where it stalled and so broke the sound, that place has to be heard
    unbroken in another attempt: on a busy machine a sound of some seconds often has a stall in it.
    """
    sound = written(speaker, tmp_path, text)
    assert len(sound) / 24_000 == pytest.approx(seconds, rel=0.2)
    broken = set(range(len(sound) // 24_000 + 1))
    for _ in range(4):
        stalls = speaker.stalls
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            recording, report = say(speaker, text)
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
        found = gaps(recording.samples, sound)
        assert len(found) + bool(report["starved_frames"]) <= speaker.stalls - stalls, "no stall explains this"
        if not report["starved_frames"]:
            broken &= {gap.position // 24_000 for gap in found}
        if not broken:
            return
    pytest.fail(f"broken in every attempt, in seconds {broken}")


@pytest.mark.slow
@despite_stalls
def test_a_slow_engine_plays_without_a_gap(speaker: Speaker, tmp_path: Path) -> None:
    sound = written(speaker, tmp_path, "word " * 12, "--engine", "tests.sample_engines:ToneEngine")
    recording, report = say(speaker, "word " * 12, "--engine", "tests.sample_engines:SlowEngine")
    assert report["rtf"] > 1.4
    assert report["starved_frames"] == 0
    assert gaps(recording.samples, sound) == []


@despite_stalls
def test_a_chunk_that_comes_before_the_server_has_played_what_it_stores_is_not_late(
    speaker: Speaker, tmp_path: Path
) -> None:
    """Of 0.6 s of sound, the ring has given the server the last after 0.4 s; the server has played it after 0.6 s."""
    arguments = ("word " * 12, "--engine", "tests.sample_engines:LateEngine", "--chunk", "5")
    sound = written(speaker, tmp_path, *arguments)
    recording, report = say(speaker, *arguments)
    assert report["starved_frames"] == 0
    assert gaps(recording.samples, sound) == []


@despite_stalls
def test_a_stall_fades_out_and_in_again(speaker: Speaker) -> None:
    recording, report = say(speaker, "word " * 12, "--engine", "tests.sample_engines:StallingEngine", "--chunk", "5")
    assert report["starved_frames"] > 0
    assert len(silences(recording.samples)) == 1
    steepest = np.abs(np.diff(recording.samples.astype(int))).max() / 32767
    # A tone of 220 Hz at 0.5 moves by 0.029 a sample; a 5 ms fade on top of it by 0.007 more.
    assert steepest < 0.04


def test_a_stopped_process_speaks_on(speaker: Speaker, tmp_path: Path) -> None:
    """Ctrl-Z and `fg`, or a machine that sleeps: for longer than a device that has gone would be waited for."""
    arguments = ("word " * 10, "--engine", "tests.sample_engines:ToneEngine")
    sound = written(speaker, tmp_path, *arguments)
    with speaker.recording() as recording:
        process = warm.popen([*TTS, "speak", "-q", *arguments], env=speaker.environment, stdin=subprocess.DEVNULL)
        recording.wait_for_sound()
        recording.wait_for_seconds(1.0)
        process.send_signal(signal.SIGSTOP)
        recording.wait_for_seconds(2.5)
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 0
    assert max(gap.silence for gap in gaps(recording.samples, sound)) > 24_000


@despite_stalls
def test_waiting_for_text_is_not_starving(speaker: Speaker) -> None:
    command = [*TTS, "speak", "--json", "-q"]
    with (
        speaker.recording() as recording,
        warm.popen(command, env=speaker.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
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


def test_a_device_by_number_and_by_name(speaker: Speaker) -> None:
    listed = warm.run([*TTS, "devices"], env=speaker.environment)
    assert listed.returncode == 0
    assert b"pulse" in listed.stdout
    for name in ("pulse", "0"):
        recording, _ = say(speaker, "Hello.", "--output-device", name)
        assert np.abs(recording.samples).max() > 1000
    refused = warm.run([*TTS, "speak", "Hello.", "--output-device", "bob"], env=speaker.environment)
    assert refused.returncode == 2
    assert b"tts devices" in refused.stderr


@despite_stalls
def test_file_and_speaker_together(speaker: Speaker, tmp_path: Path) -> None:
    recording, _ = say(speaker, "Both of them.", "-o", "both.wav", "--play", cwd=tmp_path)
    sound, _ = soundfile.read(tmp_path / "both.wav", dtype="int16")
    assert gaps(recording.samples, sound) == []
