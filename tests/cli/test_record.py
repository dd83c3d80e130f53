"""`tts voice record`, from a source that is fed from a file: the monitor of the speaker that plays it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests import warm
from tests.harness import PATIENCE, Run, complaint
from tests.loudspeaker import Speaker, despite_stalls
from tests.terminal import terminal
from tts_cli.audio import as_samples
from tts_cli.cli.record import SENTENCES, meter, text_for
from tts_cli.errors import MissingError, UsageError
from tts_cli.playback import devices, microphone
from tts_cli.playback.microphone import find_input

RATE = 24_000
RECORD = """
import soundfile
from tts_cli.playback.microphone import find_input, record
told = []
device = find_input(None, 24000)
samples = record(device, 1, lambda new, seconds: told.append((seconds, len(new))))
soundfile.write("taken.wav", samples, device.rate)
print(told[-1][0], len(told))
"""
MUTED = """
from tts_cli.cli.record import take
from tts_cli.errors import UsageError
from tts_cli.playback.microphone import find_input
try:
    take(find_input(None, 24000), 0.3, None, False)
except UsageError as error:
    print(error)
"""
LOST = """
from tts_cli.errors import OutputError
from tts_cli.playback import microphone
microphone.LOST_SECONDS = 0.5
said = []
def show(new, seconds):
    if not said:
        said.append(print("recording", flush=True))
try:
    microphone.record(microphone.find_input(None, 24000), 60, show)
except OutputError as error:
    print(error, flush=True)
"""


@contextmanager
def playing(speaker: Speaker, file: Path) -> Iterator[None]:
    """Somebody reads into the microphone within."""
    with subprocess.Popen(["paplay", str(file)], env=speaker.environment) as player:
        try:
            speaker.wait_for_player()
            yield
        finally:
            player.terminate()


@pytest.fixture
def reading(tmp_path: Path) -> Path:
    """A minute of syllables that rise and fall."""
    time = np.arange(60 * RATE) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1) * (np.sin(2 * np.pi * 0.25 * time) > -0.8)
    file = tmp_path / "reading.wav"
    soundfile.write(file, 0.4 * syllables * np.sin(2 * np.pi * 300 * time), RATE)
    return file


def run_in(speaker: Speaker, folder: Path, program: str) -> tuple[int, str, str]:
    """The exit code of the program, and what it says on standard output and standard error."""
    done = warm.run([sys.executable, "-c", program], env=speaker.environment, cwd=folder)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.speaker
@despite_stalls
def test_what_the_microphone_hears_is_recorded(speaker: Speaker, reading: Path, tmp_path: Path) -> None:
    with playing(speaker, reading):
        code, said, complaints = run_in(speaker, tmp_path, RECORD)
    assert (code, complaints) == (0, "")
    taken, rate = soundfile.read(tmp_path / "taken.wav")
    assert (len(taken), rate) == (RATE, RATE)
    assert said.startswith("1.0 ")
    assert np.argmax(np.abs(np.fft.rfft(taken))) == pytest.approx(300, abs=5)


@pytest.mark.speaker
@despite_stalls
def test_a_muted_microphone_is_named(speaker: Speaker, tmp_path: Path) -> None:
    _, said, shown = run_in(speaker, tmp_path, MUTED)
    assert SENTENCES[0][:40] in shown
    assert "✗ nothing is heard: is the microphone muted" in shown
    assert said == "no voice can be made of this recording; record it again\n"


@pytest.mark.slow
@pytest.mark.speaker
@despite_stalls
def test_a_reading_in_a_terminal_becomes_a_voice(
    speaker: Speaker, cloning: Path, reading: Path, tmp_path: Path
) -> None:
    more = {"HF_HUB_DISABLE_TELEMETRY": "1", "TTS_VOICES_DIR": str(tmp_path / "voices")}
    # A package that upstream imports leaves a temporary folder to the interpreter's end.
    more["PYTHONWARNINGS"] = "error,ignore:Implicitly cleaning up:ResourceWarning"
    arguments = ("voice", "record", "ann", "--seconds", "6", "--model-dir", str(cloning), "--force")
    with (
        playing(speaker, reading),
        terminal(*arguments, environment=speaker.environment | more, folder=tmp_path) as shown,
    ):
        shown.wait_for("Press Enter")
        shown.type(b"\r")
        shown.wait_for(r"█+.*dB.*s")
        shown.wait_for("Playing it back")
        shown.wait_for("Make a voice of it")
        shown.type(b"y\r")
        assert shown.end() == 0
    told = json.loads((tmp_path / "voices" / "ann.json").read_text())
    assert (told["source"], told["duration"]) == ("ann.wav", 6.0)


@pytest.mark.speaker
def test_a_microphone_that_is_unplugged_ends_the_recording(speaker: Speaker, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOST]
    with subprocess.Popen(command, env=speaker.environment, stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == "recording\n"
        speaker.kill()
        assert "gives no sound; is it still connected?" in recorder.stdout.read()
        assert recorder.wait(PATIENCE) == 0


def test_names_and_weights_are_checked_before_anything_is_recorded(tts: Run) -> None:
    assert "is a voice of" in complaint(tts("voice", "record", "heart"))
    assert "cannot name a voice" in complaint(tts("voice", "record", "a b"))
    result = tts("voice", "record", "ann", "--model-dir", "none", "--voices-dir", "voices")
    assert result.returncode == 3
    assert "there is no folder none" in complaint(result)


def test_a_machine_without_input_says_so(tts: Run) -> None:
    result = tts("devices", "--inputs")
    assert result.returncode == 3
    assert "no audio input" in complaint(result)


def test_inputs_are_found_by_number_name_and_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """No card here has an input, so PortAudio's answers are made up."""
    names = ("USB Microphone", "Line 1", "Line 2")
    infos = [
        {"index": i, "name": name, "hostapi": 0, "max_input_channels": 2, "default_samplerate": 48_000.0}
        for i, name in enumerate(names)
    ]
    infos.append({"index": 9, "name": "speaker", "hostapi": 0, "max_input_channels": 0})

    class PortAudioError(Exception):
        pass

    def check(index: int, channels: int, dtype: str, samplerate: int) -> None:
        if index == 2 or samplerate == RATE:
            raise PortAudioError

    module = SimpleNamespace(
        PortAudioError=PortAudioError,
        default=SimpleNamespace(device=(1, 9)),
        query_hostapis=lambda: [{"name": "ALSA"}],
        query_devices=lambda: infos,
        check_input_settings=check,
    )
    for place in (devices, microphone):
        monkeypatch.setattr(place, "sounddevice", lambda: module)
    assert (find_input(None, RATE).name, find_input(None, RATE).rate) == ("Line 1", 48_000)
    assert find_input("microphone", RATE).index == 0
    assert find_input("1", RATE).index == 1
    with pytest.raises(UsageError, match="1 Line 1, 2 Line 2"):
        find_input("line", RATE)
    for absent in ("9", "speaker", "²"):
        with pytest.raises(UsageError, match="--inputs"):
            find_input(absent, RATE)
    with pytest.raises(MissingError, match="cannot be opened"):
        find_input("2", RATE)
    infos.clear()
    with pytest.raises(MissingError, match="no audio input"):
        find_input(None, RATE)


def test_the_text_is_as_long_as_the_recording_and_the_meter_shows_what_is_too_loud() -> None:
    assert 12 * 2 < len(" ".join(text_for(12)).split()) < 12 * 4
    assert text_for(0.1) == [SENTENCES[0]]
    assert meter(as_samples(np.zeros(10)), 3).plain.startswith("░" * 30 + " -100 dB   3.0 s")
    assert meter(as_samples(np.ones(10)), 3).plain.endswith("too loud")
    assert meter(as_samples([]), 0).plain
