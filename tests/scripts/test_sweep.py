"""`scripts/sweep.py`: signals at moments all over a run, and that it would notice what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sweeping.cases import Case, sound_file
from sweeping.trial import Trial

from tests.harness import ROOT, clean_environment


@pytest.mark.slow
@pytest.mark.parametrize("command", ["speak to a file", "speak to standard output", "model pull", "bench"])
def test_a_run_ends_as_it_should_whenever_a_signal_comes(command: str) -> None:
    # One rehearsal: how evenly the moments are spread is nothing that this asserts.
    arguments = ("--moments", "4", "--in-turn", "--rehearsals", "1", "--only", command)
    sweep = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "sweep.py"), *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert sweep.returncode == 0, sweep.stderr
    assert sweep.stdout.count(command) == 4


def test_a_damaged_result_and_a_draft_are_noticed(tmp_path: Path) -> None:
    case = Case("", (), {})
    case.prepare(tmp_path / "run")
    assert sound_file(tmp_path / "run", "x.wav") == ""
    (tmp_path / "run" / "x.wav").write_bytes(b"RIFF and nothing")
    assert sound_file(tmp_path / "run", "x.wav") != ""
    (tmp_path / "run" / ".tts-0123abcd.part").touch()
    assert case.left(tmp_path / "run", case.unfinished) == [".tts-0123abcd.part"]


@pytest.mark.parametrize("said", ["Traceback (most recent call last):", "Exception ignored in: <x>"])
def test_what_no_user_is_to_see_is_noticed(said: str) -> None:
    assert Trial(0.0, "running", 130, 0.0, 0.0, b"", f"tts: x\n{said}\n").is_raw
    assert not Trial(0.0, "running", 130, 0.0, 0.0, b"", "0.0 s to x.wav\n").is_raw
