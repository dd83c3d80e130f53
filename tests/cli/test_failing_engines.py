"""Engines that fail, stop short or are not where they were to be: what is told, and what is spoken all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from tests.harness import Run, complaint


def test_an_engine_that_fails_is_reported_and_leaves_nothing(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "Hello, this is long enough.", "--engine", "tests.sample_engines:BrokenEngine", "-o", "x.wav")
    line = "cannot speak 'Hello, this is long enough.': the model has fallen apart; put it together again"
    assert complaint(result) == f"tts: {line}"
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_is_not_where_it_was_to_be_says_so_once(tts: Run) -> None:
    command = ("speak", "Hello.\n\nAnd again.", "--engine", "tests.sample_engines:MovedEngine", "-o", "x.wav")
    told, _summary = tts(*command).stderr.decode().splitlines()
    assert told == "tts: this Mac's GPU cannot compute; speaking on the CPU"
    assert tts(*command, "-q").stderr == b""


PICKY = ("--engine", "tests.sample_engines:PickyEngine")


def test_a_text_that_an_engine_fails_on_is_named_and_the_rest_is_spoken(tts: Run, tmp_path: Path) -> None:
    text = "One is good here.\nTwo is bad here.\nThree is good here.\n"
    result = tts("speak", text, *PICKY, "-o", "x.wav", "--json")
    told, summary = result.stderr.decode().splitlines()
    assert told == r"tts: cannot speak 'Two is bad here.': ValueError: that\x1b[31m was bad"
    assert " s to x.wav · 1 piece not spoken · " in summary
    assert result.returncode == 1
    assert json.loads(result.stdout)["failed_segments"] == 1
    good = tts("speak", text.replace("Two is bad here.\n", ""), *PICKY, "-o", "good.wav")
    assert good.returncode == 0
    longer = soundfile.info(tmp_path / "x.wav").frames - soundfile.info(tmp_path / "good.wav").frames
    assert longer == 9600, "the chunk before the failure"


CURT = ("--engine", "tests.sample_engines:CurtEngine")


@pytest.mark.parametrize("output", [("-o", "x.wav"), ("-o", "-", "--raw"), ("--mode", "simple", "-o", "x.wav")])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_speech_that_was_cut_short_is_told(tts: Run, output: tuple[str, ...], quiet: tuple[str, ...]) -> None:
    text = f"All is well here.\nThis is {'very ' * 20}long.\nAnd long.\n"
    result = tts("speak", text, *CURT, *output, *quiet)
    assert result.returncode == 0
    shown = f"This is {'very ' * 20}"[:60]
    told = [f"tts: '{shown}…': that was\\x1b[31m too much", "tts: 'And long.': that was\\x1b[31m too much"]
    lines = result.stderr.decode().splitlines()
    assert lines[:2] == told
    assert len(lines) == (2 if quiet else 3)
    if "-" not in output:
        notices = json.loads(tts("speak", text, *CURT, *output, *quiet, "--json").stdout)["notices"]
        assert notices == [f"'{shown}…': that was\x1b[31m\ntoo much", "'And long.': that was\x1b[31m\ntoo much"]


def test_speech_that_is_whole_has_no_notices(tts: Run) -> None:
    result = tts("speak", "All is well here.", *CURT, "-o", "x.wav", "--json")
    assert json.loads(result.stdout)["notices"] == []
    assert len(result.stderr.splitlines()) == 1


def test_strict_ends_at_the_first_failure(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "Two is bad. Three is good. Four is bad.", *PICKY, "-o", "x.wav", "--strict")
    assert complaint(result).startswith("tts: cannot speak 'Two is bad.': ValueError")
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_fails_on_everything_is_given_up(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "-o", "x.wav", *PICKY, input=b"It is all bad here.\n" * 100)
    assert result.stderr.decode().count("cannot speak") == 5
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []
