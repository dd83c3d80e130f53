"""Keys steer a text that is spoken: in a real terminal (a pty), to a loudspeaker that is recorded."""

from __future__ import annotations

import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.loudspeaker import Speaker
from tests.terminal import Terminal, terminal
from tts_cli.cli.controls import Controls
from tts_cli.cli.keys import KEYS, split
from tts_cli.metrics import Meter
from tts_cli.text.sources import text_argument
from tts_cli.utterance import Utterance

SENTENCES = "This sentence is spoken as a tone. " * 15
TONE = ("--engine", "tests.sample_engines:ToneEngine")
speaking = partial(terminal, "speak")
LINE = "space pause"


@given(sent=st.lists(st.sampled_from([*KEYS, b"x", b"\x1b[5~", b"\xc3\xa9"])), cut=st.integers(0, 20))
def test_keys_may_be_cut_anywhere(sent: list[bytes], cut: int) -> None:
    data = b"".join(sent)
    first, rest = split(data[:cut])
    second, left = split(rest + data[cut:])
    assert first + second == [KEYS[each] for each in sent if each in KEYS]
    assert left == b""


@pytest.fixture
def shown(speaker: Speaker, tmp_path: Path) -> Iterator[Terminal]:
    with speaking(SENTENCES, *TONE, environment=speaker.environment, folder=tmp_path) as shown:
        shown.wait_for(LINE)
        yield shown


def settings(shown: Terminal) -> list[Any]:
    return termios.tcgetattr(shown._descriptor)


@pytest.mark.speaker
def test_space_pauses_and_goes_on_and_q_ends(shown: Terminal) -> None:
    shown.wait_for("speaking")
    shown.type(b" ")
    shown.wait_for("paused")
    shown.screen = ""
    shown.type(b" ")
    shown.wait_for("speaking")
    shown.type(b"q")
    assert shown.end() == 130
    assert "interrupted" in shown.screen.splitlines()[-1]
    assert settings(shown)[3] & termios.ICANON


@pytest.mark.speaker
def test_arrows_go_to_other_sentences(shown: Terminal) -> None:
    shown.wait_for("speaking")
    shown.type(b"\x1b[C\x1b[C\x1b[D" + b"\x1b[C" * 40)
    assert shown.end() == 0


@pytest.mark.speaker
def test_pace_and_volume_are_heard(speaker: Speaker, tmp_path: Path) -> None:
    """A tone with an amplitude of one half."""
    with (
        speaker.recording() as recording,
        speaking("word " * 20, *TONE, environment=speaker.environment, folder=tmp_path) as shown,
    ):
        recording.wait_for_sound()
        shown.type(b"\x1b[A" * 10 + b"-" * 10)
        shown.wait_for(r"speed 2\.0.*volume -20 dB")
        assert shown.end() == 0
    sound = recording.samples[np.flatnonzero(recording.samples)[0] :] / 32768
    assert np.abs(sound[:2400]).max() == pytest.approx(0.5, abs=0.05)
    whole = len("word " * 20) * 0.06 * 24_000
    assert len(np.flatnonzero(np.abs(sound) > 0.01)) < 0.8 * whole
    assert np.abs(sound[-36_000:]).max() < 0.06


@contextmanager
def piped(speaker: Speaker, folder: Path) -> Iterator[Terminal]:
    file = folder / "text"
    file.write_text(SENTENCES)
    with (
        file.open("rb") as text,
        speaking(*TONE, environment=speaker.environment, folder=folder, stdin=text) as shown,
    ):
        shown.wait_for(LINE)
        yield shown


@pytest.mark.speaker
def test_keys_are_read_while_text_comes_from_a_pipe(speaker: Speaker, tmp_path: Path) -> None:
    with piped(speaker, tmp_path) as shown:
        assert not settings(shown)[3] & termios.ICANON
        shown.type(b" ")
        shown.wait_for("paused")
        shown.type(b"q")
        assert shown.end() == 130
        assert settings(shown)[3] & termios.ICANON


@pytest.mark.speaker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_the_terminal_is_as_before_after_every_end(shown: Terminal, number: signal.Signals) -> None:
    assert not settings(shown)[3] & termios.ECHO
    shown.process.send_signal(number)
    assert shown.end() == (-number if number == signal.SIGQUIT else 128 + number)
    assert settings(shown)[3] & termios.ECHO
    assert settings(shown)[3] & termios.ICANON


@pytest.mark.speaker
def test_an_error_leaves_the_terminal_as_it_was(speaker: Speaker, tmp_path: Path) -> None:
    text = "word " * 200 + "bad"
    arguments = (text, "--engine", "tests.sample_engines:PickyEngine", "--strict")
    with speaking(*arguments, environment=speaker.environment, folder=tmp_path) as shown:
        assert shown.end() == 1
        assert settings(shown)[3] & termios.ICANON


@pytest.mark.speaker
def test_keys_are_read_again_after_a_shell_had_the_terminal(shown: Terminal) -> None:
    """As after `kill -STOP` and `fg`, or Ctrl-Z, `bg` and `fg`: the shell has put its own settings back."""
    changed = settings(shown)
    changed[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(shown._descriptor, termios.TCSANOW, changed)
    shown.type(b" ")
    shown.wait_for("paused")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_keys_are_shown_in_one_line(width: int) -> None:
    line = Controls(
        Utterance(lambda *_: pytest.fail("not started"), text_argument("Hello."), Meter()), 2.0, -40.0
    ).line(width)
    assert cell_len(line) <= width - 2
    assert "-40 dB" in line


def test_no_keys_are_read_where_nothing_is_played(environment: dict[str, str], tmp_path: Path) -> None:
    slow = ("word " * 6, "--engine", "tests.sample_engines:SlowEngine", "-o", "x.wav")
    with speaking(*slow, environment=environment, folder=tmp_path) as shown:
        shown.wait_for("TTFA")
        assert settings(shown)[3] & termios.ICANON
        assert shown.end() == 0
    assert LINE not in shown.screen


@pytest.mark.speaker
def test_a_line_that_is_typed_is_text(speaker: Speaker, tmp_path: Path) -> None:
    with speaking(*TONE, environment=speaker.environment, folder=tmp_path) as shown:
        shown.wait_for("waiting for text")
        shown.type(b"q q q.\r")
        shown.wait_for("1 chunks")
        shown.type(b"\x04")
        assert shown.end() == 0
    assert LINE not in shown.screen
