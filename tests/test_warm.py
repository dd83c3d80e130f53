"""A forked `tts` is a process as any other: its streams, environment, folder, signals and end are its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.harness import PATIENCE, TTS, Run, clean_environment, complaint
from tests.terminal import terminal

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


STREAMS = """
import os, sys
streams = (sys.stdin, sys.stdout, sys.stderr)
told = [stream is not None and (stream.isatty(), stream.line_buffering) for stream in streams]
told += [os.path.exists(f"/dev/fd/{number}") for number in range(3)]
with open("told", "w") as file:
    print(min(file.fileno(), 3), __name__, sys.argv, told, file=file)
"""


@pytest.mark.parametrize("closed", [(), ("stdin",), ("stdout", "stderr"), ("stdin", "stdout", "stderr")])
@pytest.mark.parametrize("kind", ["code", "script"])
def test_a_program_finds_the_streams_that_a_fresh_one_finds(
    environment: dict[str, str], tmp_path: Path, kind: str, closed: tuple[str, ...]
) -> None:
    (tmp_path / "program.py").write_text(STREAMS)
    command = [sys.executable, *(["-c", STREAMS] if kind == "code" else ["program.py"]), "a word"]
    redirections = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}
    shell = ["bash", "-c", " ".join(['"$@"', *(redirections[name] for name in closed)]), "bash", *command]
    settings: dict[str, Any] = {"env": environment, "cwd": tmp_path, "stdin": subprocess.DEVNULL}
    subprocess.run(shell, check=True, capture_output=True, timeout=PATIENCE, **settings)
    expected = (tmp_path / "told").read_text()
    assert warm.run(command, **(settings | dict.fromkeys(closed, warm.CLOSED))).returncode == 0
    assert (tmp_path / "told").read_text() == expected


def test_threads_end_before_what_is_to_be_done_at_the_end(environment: dict[str, str], tmp_path: Path) -> None:
    code = """
import atexit, threading, time
atexit.register(print, "the end")
threading.Thread(target=lambda: (threading.Event().wait(0.05), print("thread"))).start()
"""
    assert warm.run([sys.executable, "-c", code], env=environment).stdout == b"thread\nthe end\n"


def test_ctrl_c_in_its_terminal_reaches_it(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("speak", "-o", "x.wav", "--engine", "tests.sample_engines:ToneEngine")
    with terminal(*arguments, environment=environment, folder=tmp_path) as window:
        window.wait_for("waiting for text")
        window.type(b"\x03")
        assert window.end() == 130


def test_a_signal_that_is_ignored_is_not_heard(environment: dict[str, str]) -> None:
    code = "import signal; signal.raise_signal(signal.SIGTERM); print('here')"
    for ignored, expected in (([signal.SIGTERM], (0, b"here\n")), ([], (-signal.SIGTERM, b""))):
        done = warm.run([sys.executable, "-c", code], env=environment, ignored=ignored)
        assert (done.returncode, done.stdout) == expected


def test_it_warns_as_its_environment_says(environment: dict[str, str]) -> None:
    code = "import warnings; warnings.warn('this'); warnings.warn('that', ResourceWarning); print('here')"
    for warns, (left, shown) in {
        "error": (1, b"UserWarning: this"),
        "error,ignore:this": (1, b"ResourceWarning: that"),
        "error,ignore:this,ignore::ResourceWarning": (0, b""),
    }.items():
        done = warm.run([sys.executable, "-c", code], env=environment | {"PYTHONWARNINGS": warns})
        assert done.returncode == left
        assert shown in done.stderr
        assert (done.stdout == b"here\n") is (left == 0)


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
