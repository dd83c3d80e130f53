"""`.ci/run`: what it runs, in which order, and that each part can fail it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere scripts/test is all that it runs")
CHECKS = """#!/bin/sh
echo "scripts/test$*"
exit ${CHECKS:-0}
"""
PYTHON = """#!/bin/sh
echo "$*" | sed "s| --findings.*||"
case $* in
    *"${BROKEN:-none}"*)
        echo "a fault"
        case $* in *--findings*) mkdir -p "$9" && echo "its input" >"$9/1.txt" ;; esac
        exit 1
        ;;
esac
"""
FUZZ = [f"scripts/fuzz.py --minutes 1 --seed 1 --engine {engine}" for engine in ("builtin", "chatterbox")]
WHEELS = "scripts/resolve.py"
SOAK = "scripts/soak.py --minutes 1 --seed 1"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose checks and Python tell how they were called."""
    programs = {"scripts/test": CHECKS, ".venv/bin/python": PYTHON, "bin/pulseaudio": "#!/bin/sh\n"}
    for name, program in programs.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(program)
        file.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    return tmp_path


def run(checkout: Path, **settings: str) -> tuple[int, list[str]]:
    environment = os.environ | {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"} | settings
    done = subprocess.run([checkout / ".ci/run"], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, [
        line for line in done.stdout.splitlines() if not line.endswith((": 1 minute.", ": half a minute."))
    ]


def test_the_checks_come_first_then_each_engine_and_a_pipe(checkout: Path) -> None:
    assert run(checkout) == (0, ["scripts/test", WHEELS, *FUZZ, SOAK])


def test_checks_that_fail_end_it(checkout: Path) -> None:
    assert run(checkout, CHECKS="4") == (4, ["scripts/test"])


@pytest.mark.parametrize("engine", ["builtin", "chatterbox"])
def test_a_fault_in_random_input_is_shown_with_its_input_and_the_rest_runs(checkout: Path, engine: str) -> None:
    code, lines = run(checkout, BROKEN=f"--engine {engine}")
    assert code == 1
    assert lines[lines.index(f"scripts/fuzz.py --minutes 1 --seed 1 --engine {engine}") + 1] == "a fault"
    assert lines[-2:] == ["its input", SOAK]


def test_a_fault_in_the_speech_of_a_pipe_is_shown(checkout: Path) -> None:
    assert run(checkout, BROKEN="soak") == (1, ["scripts/test", WHEELS, *FUZZ, SOAK, "a fault"])


def test_a_missing_wheel_is_shown_and_the_rest_runs(checkout: Path) -> None:
    assert run(checkout, BROKEN="resolve") == (1, ["scripts/test", WHEELS, "a fault", *FUZZ, SOAK])
