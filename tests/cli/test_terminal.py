"""In a real terminal (a pty): the live display, typing lines, and Ctrl-C."""

from __future__ import annotations

import re
import termios
from functools import partial
from pathlib import Path

import pytest

from tests.loudspeaker import Speaker
from tests.terminal import terminal

speaking = partial(terminal, "speak")


def test_the_live_display_shows_and_goes(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("word " * 6, "--engine", "tests.sample_engines:SlowEngine", "-o", "x.wav")
    with speaking(*arguments, environment=environment, folder=tmp_path) as shown:
        for part in ("TTFA", "RTF", "buffered", "starved", "pre-buffer", r"chunks", "state"):
            shown.wait_for(part)
        shown.wait_for(r"TTFA.{1,40}\d+ ms")
        assert shown.end() == 0
    assert "\x1b[?25h" in shown.screen, "the cursor is back"
    summary = shown.screen.splitlines()[-1]
    assert "to x.wav" in summary
    assert "RTF 1.5" in summary


def test_a_name_in_the_display_is_text(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = (
        "word " * 6,
        "--engine",
        "tests.sample_engines:NamedEngine",
        "-o",
        "[x].wav",
        "--voice",
        "[/x]\x1b[7m",
    )
    with speaking(*arguments, environment=environment, folder=tmp_path) as shown:
        shown.wait_for(r"named · \[/x\]\\x1b\[7m · streaming")
        assert shown.end() == 0
    assert "to [x].wav" in shown.screen
    assert "\x1b[7m" not in shown.screen


@pytest.mark.parametrize("change", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_control_codes_where_they_are_not_wanted(
    environment: dict[str, str], tmp_path: Path, change: dict[str, str]
) -> None:
    with speaking(
        "Hello.", "-o", "x.wav", "--voice", "heart", environment=environment | change, folder=tmp_path
    ) as shown:
        assert shown.end() == 0
    assert "\x1b" not in shown.screen
    assert len(shown.screen.splitlines()) == 1


def test_quiet_shows_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    with speaking("Hello.", "-o", "x.wav", "--quiet", environment=environment, folder=tmp_path) as shown:
        assert shown.end() == 0
    assert shown.screen == ""


def test_sound_is_not_written_to_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    with speaking("Hello.", "-o", "-", environment=environment, folder=tmp_path) as shown:
        assert shown.end() == 2
    assert "pipe it on" in shown.screen


@pytest.mark.speaker
def test_ctrl_c_leaves_the_terminal_as_it_was(speaker: Speaker, tmp_path: Path) -> None:
    arguments = ("word " * 200, "--engine", "tests.sample_engines:ToneEngine")
    with (
        speaker.recording() as recording,
        speaking(*arguments, environment=speaker.environment, folder=tmp_path) as shown,
    ):
        before = termios.tcgetattr(shown._descriptor)
        recording.wait_for_sound()
        shown.type(b"\x03")
        assert shown.end() == 130
        assert termios.tcgetattr(shown._descriptor) == before
    last = re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", shown.screen).rstrip().splitlines()[-1]
    spoken = re.match(r"interrupted · (\d+\.\d) s spoken", last)
    assert spoken is not None, last
    assert float(spoken[1]) < 5, "what was computed but not heard is not spoken"
    assert shown.screen.rfind("\x1b[?25h") > shown.screen.rfind("\x1b[?25l")
    assert "Traceback" not in shown.screen


@pytest.mark.speaker
def test_lines_are_spoken_as_they_are_entered(speaker: Speaker, tmp_path: Path) -> None:
    with (
        speaker.recording() as recording,
        speaking(environment=speaker.environment, folder=tmp_path) as shown,
    ):
        shown.wait_for("press Enter")
        shown.type(b"good morning\n")
        recording.wait_for_sound()
        shown.type(b"good night\n\x04")
        assert shown.end() == 0
    assert re.search(r"\d\.\d s spoken", shown.screen)


def test_bytes_that_are_not_text_end_a_run_that_is_typed(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("-o", "x.wav", "--engine", "tests.sample_engines:ToneEngine")
    with speaking(*arguments, environment=environment, folder=tmp_path) as shown:
        shown.wait_for("waiting for text")
        shown.type(b"caf\xe9 au lait\n")
        assert shown.end() == 2
    assert "standard input is not UTF-8 text (byte 3)" in shown.screen
    assert "Traceback" not in shown.screen


@pytest.mark.parametrize("moment", ["press Enter", "loading", "waiting for text"])
def test_ctrl_c_before_there_is_text(environment: dict[str, str], tmp_path: Path, moment: str) -> None:
    with speaking("-o", "x.wav", environment=environment, folder=tmp_path) as shown:
        shown.wait_for(moment)
        shown.type(b"\x03")
        assert shown.end() == 130
    assert "Traceback" not in shown.screen
