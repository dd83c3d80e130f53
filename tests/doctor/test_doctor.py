"""`tts doctor` on machines that lack something, and on one that lacks nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.harness import PATIENCE, TTS, Run
from tests.loudspeaker import Speaker, despite_stalls
from tts_cli.doctor import machine
from tts_cli.errors import UsageError
from tts_cli.finding import Finding, finding


def test_a_machine_without_audio_output_is_told_so_and_speak_ends_in_the_same_way(tts: Run) -> None:
    result = tts("doctor", "--engine", "builtin")
    lines = result.stdout.decode().splitlines()
    assert (result.returncode, result.stderr) == (3, b"")
    assert [line for line in lines if line.startswith("✗")] == [
        "✗ audio output         this machine has no audio output; write a file instead: -o speech.wav"
    ]
    for topic in ("tts", "Python", "packages", "sound files", "processor", "disk", "PortAudio", "builtin", "speaks"):
        assert any(line.startswith(f"✓ {topic} ") for line in lines), topic
    assert tts("speak", "Hello.", "--engine", "builtin").returncode == 3


@pytest.mark.speaker
@despite_stalls
def test_a_machine_that_lacks_nothing_plays_a_tone_and_says_so_in_json(speaker: Speaker) -> None:
    command = [*TTS, "doctor", "--engine", "builtin", "--tone", "--json"]
    with speaker.recording() as heard:
        done = subprocess.run(command, env=speaker.environment, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)
    assert told["ready"] is True
    states = {each["topic"]: each["state"] for each in told["findings"]}
    assert states["audio output"] == states["tone"] == states["speaks"] == "ok"
    loud = abs(heard.samples.astype(int))
    assert (loud > 1000).sum() > 12_000
    assert loud.max() < 4000


def test_missing_portaudio_ends_the_checks_of_sound_and_no_other(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    result = tts("doctor", "--tone", "--json")
    told = {each["topic"]: each for each in json.loads(result.stdout)["findings"]}
    assert result.returncode == 3
    assert told["PortAudio"]["state"] == "missing"
    assert "libportaudio2" in told["PortAudio"]["remedy"]
    assert "audio output" not in told
    assert told["builtin loading"]["state"] == "ok"


def test_an_unknown_engine_and_an_engine_that_breaks_are_lines_of_their_own(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    package = tmp_path / "odd-1.dist-info"
    package.mkdir()
    (package / "entry_points.txt").write_text("[tts_cli.engines]\nodd = tts_odd:ENGINE\nmad = tts_mad:ENGINE\n")
    (tmp_path / "tts_mad.py").write_text("raise ValueError('\\x1b[31mmad')\n")
    (tmp_path / "tts_odd.py").write_text(
        "from tts_cli.engines import EngineSpec\n"
        "ENGINE = EngineSpec('odd', 'odd', '', 'x:y', 24_000, findings=lambda settings, thorough: 1 / 0)\n"
    )
    text = tts("doctor", "--engine", "nobody").stdout.decode()
    assert "! odd                  its checks failed: ZeroDivisionError: division by zero" in text
    assert r"! mad                  ValueError: \x1b[31mmad; install its package again, or uninstall it" in text
    assert "✗ speaks               there is no engine called 'nobody'" in text


def test_a_terminal_without_the_marks_gets_words(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "Übung\x1b[7m"
    folder.mkdir()
    result = tts("doctor", env=environment | {"PYTHONIOENCODING": "ascii"}, cwd=folder)
    assert result.returncode == 3
    assert b"ok disk " in result.stdout
    assert rb"free in" in result.stdout
    assert rb"\xdcbung\x1b[7m" in result.stdout


def test_a_quota_below_a_core_and_a_full_disk_are_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "quota", lambda: 0.5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
    told = {each.topic: each for each in machine.findings()}
    assert told["processor"].state == told["disk"].state == "advice"
    assert "0.5 of one core" in told["processor"].found
    assert "999 bytes free" in told["disk"].found
    assert told["processor"].remedy
    assert told["disk"].remedy


def test_a_check_that_raises_is_a_finding() -> None:
    def refuse() -> str:
        raise UsageError("wrong", "do this")

    def break_() -> str:
        raise ZeroDivisionError("no")

    assert finding("x", refuse, otherwise="missing") == Finding("x", "missing", "wrong", "do this")
    assert finding("x", break_).found == "ZeroDivisionError: no"


@pytest.mark.parametrize(
    ("text", "mark", "said"),
    [
        ("", "✓", "none; "),
        ("seed = 1", "✓", "in "),
        ("sed = 1", "!", 'did you mean "seed"?'),
        ("seed = -1", "✗", "line 1: seed cannot be -1"),
    ],
)
def test_the_users_settings_are_checked(
    tts: Run, environment: dict[str, str], tmp_path: Path, text: str, mark: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    lines = tts("doctor", env=environment | {"TTS_CONFIG_DIR": str(tmp_path)}).stdout.decode().splitlines()
    assert lines[0].startswith(f"{mark} settings ")
    assert said in lines[0]
