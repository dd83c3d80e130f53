"""A forked `tts` is a process as any other: its streams, environment, folder, signals and end are its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import PATIENCE, TTS, Run, clean_environment, complaint

ENGINES = {
    "interrupted": "import os\nos.kill(os.getpid(), 2)",
    "killed": "import os\nos.kill(os.getpid(), 9)",
    "leaky": "import os\nos.write(1, b'out')\nprint(open(__file__).readable(), flush=True)\nraise SystemExit(5)",
}
"""Modules that `--engine` imports from the folder in which `tts` runs."""


def fresh(*arguments: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [*TTS, *arguments]
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("voice", "list", "--voices-dir", "leaky.py"),
        ("speak", "-o", "x.wav", "--engine", "tests.sample_engines:ToneEngine"),
        ("sing",),
        *(("speak", "Hi.", "-o", "x.wav", "--engine", f"{module}:Engine") for module in ENGINES),
    ],
)
def test_it_writes_and_ends_as_a_fresh_one(
    tts: Run, environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for module, code in ENGINES.items():
        (tmp_path / f"{module}.py").write_text(code)
    expected = fresh(*arguments, environment=environment, folder=tmp_path)
    result = tts(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_input_that_nobody_reads_holds_nothing_up(tts: Run) -> None:
    assert tts("--version", input=b"more than a pipe holds" * 10_000).returncode == 0


def test_an_environment_that_is_read_at_start_gets_a_fresh_one(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tts_cli.py").write_text("raise SystemExit(77)")
    assert tts("--version").returncode == 0
    assert tts("--version", env=environment | {"PYTHONPATH": str(tmp_path)}).returncode == 77


def test_one_that_hangs_is_killed_and_the_next_runs(tts: Run, tmp_path: Path) -> None:
    subprocess.run(["mkfifo", tmp_path / "fifo"], check=True)
    stuck = ("speak", "-f", "fifo", "-o", "x.wav", "--engine", "tests.sample_engines:ToneEngine")
    with pytest.raises(subprocess.TimeoutExpired):
        tts(*stuck, timeout=0.5)
    assert "nothing to speak" in complaint(tts("speak", ""))


def test_nothing_is_left_of_a_test_run_that_is_killed() -> None:
    code = """
import os
from tests import warm
from tests.harness import clean_environment
warm.PRELOAD.clear()  # which takes long
process = warm.WarmProcess(clean_environment())
os.kill(os.getpid(), 9)
"""
    with subprocess.Popen([sys.executable, "-c", code], env=clean_environment(), stdout=subprocess.PIPE) as killed:
        killed.communicate(timeout=PATIENCE)  # to the end of its output, which the process that forks inherited
    assert killed.returncode == -9
