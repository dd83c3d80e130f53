"""In a real terminal (a pty): the live display, typing lines, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import PATIENCE, TTS, Speaker


class Terminal:
    """A terminal with one program in it, as the person in front of it has it."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.screen = ""

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def wait_for(self, pattern: str) -> None:
        """Read until the pattern has been shown."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.screen):
            assert time.monotonic() < deadline, self.screen
            assert self._read(), f"the program ended with {self.process.wait()}: {self.screen}"

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE)
        assert ready, "nothing happens any more"
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # how Linux says that nobody holds the other end
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*arguments: str, environment: dict[str, str], folder: Path, **streams: object) -> Iterator[Terminal]:
    """Run `tts speak` in a terminal of its own; `streams` takes some of it elsewhere."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # type: ignore[call-overload]
        [*TTS, "speak", *arguments],
        env=environment,
        cwd=folder,
        start_new_session=True,
        # A session's first terminal becomes the one whose Ctrl-C it hears.
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs} | streams,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_live_display_shows_and_goes(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("word " * 6, "--engine", "engines_for_tests:SlowEngine", "-o", "x.wav")
    with terminal(*arguments, environment=environment, folder=tmp_path) as shown:
        for part in ("TTFA", "RTF", "buffered", "starved", "pre-buffer", r"chunks", "state"):
            shown.wait_for(part)
        shown.wait_for(r"TTFA.{1,40}\d+ ms")
        assert shown.end() == 0
    assert "\x1b[?25h" in shown.screen, "the cursor is back"
    summary = shown.screen.splitlines()[-1]
    assert "to x.wav" in summary
    assert "RTF 1.5" in summary


@pytest.mark.parametrize("change", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_control_codes_where_they_are_not_wanted(
    environment: dict[str, str], tmp_path: Path, change: dict[str, str]
) -> None:
    with terminal(
        "Hello.", "-o", "x.wav", "--voice", "heart", environment=environment | change, folder=tmp_path
    ) as shown:
        assert shown.end() == 0
    assert "\x1b" not in shown.screen
    assert len(shown.screen.splitlines()) == 1


def test_quiet_shows_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    with terminal("Hello.", "-o", "x.wav", "--quiet", environment=environment, folder=tmp_path) as shown:
        assert shown.end() == 0
    assert shown.screen == ""


def test_sound_is_not_written_to_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    with terminal("Hello.", "-o", "-", environment=environment, folder=tmp_path) as shown:
        assert shown.end() == 2
    assert "pipe it on" in shown.screen


@pytest.mark.speaker
def test_ctrl_c_leaves_the_terminal_as_it_was(speaker: Speaker, tmp_path: Path) -> None:
    arguments = ("word " * 200, "--engine", "engines_for_tests:ToneEngine")
    with (
        speaker.recording() as recording,
        terminal(*arguments, environment=speaker.environment, folder=tmp_path) as shown,
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
        terminal(environment=speaker.environment, folder=tmp_path) as shown,
    ):
        shown.wait_for("press Enter")
        shown.type(b"good morning\n")
        recording.wait_for_sound()
        shown.type(b"good night\n\x04")
        assert shown.end() == 0
    assert re.search(r"\d\.\d s spoken", shown.screen)


def test_ctrl_c_while_waiting_for_text(environment: dict[str, str], tmp_path: Path) -> None:
    with terminal("-o", "x.wav", environment=environment, folder=tmp_path) as shown:
        shown.wait_for("press Enter")
        shown.type(b"\x03")
        assert shown.end() == 130
    assert "Traceback" not in shown.screen
