"""Standard input, output and error, closed or full: no traceback, no message among the results, the right exit code."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests import warm
from tests.harness import PATIENCE, TTS, Run, clean_environment, complaint

TONE = ("--engine", "tests.sample_engines:ToneEngine")
RESULTS = [
    ("--help",),
    ("--version",),
    ("voice", "info", "heart"),
    ("voice", "list"),
    ("speak", "Hello.", "-o", "x.wav", "--json", *TONE),
    ("bench", "--text", "Hello.", "--runs", "1", "--warmup", "0", *TONE),
    ("bench", "--text", "Hello.", "--runs", "1", "--warmup", "0", "--json", *TONE),
]
Shell = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Shell:
    """Run `tts` with arguments, its streams redirected as a shell does it."""

    def run(redirection: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-c", f'"$@" {redirection}', "bash", *TTS, *arguments],
            env=environment,
            cwd=tmp_path,
            timeout=PATIENCE,
            capture_output=True,
            check=False,
        )

    return run


@pytest.fixture
def redirected(environment: dict[str, str], tmp_path: Path) -> Shell:
    """As `shell`, without waiting for imports."""

    def run(redirection: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        with ExitStack() as files:
            streams: dict[str, Any] = {}
            for number, mode, target in re.findall(r"(2?)(<|>>|>)\s*(\S+)", redirection):
                name = "stderr" if number else "stdin" if mode == "<" else "stdout"
                opened = partial((tmp_path / target).open, "ab" if mode == ">>" else "wb")
                streams[name] = warm.CLOSED if target == "&-" else files.enter_context(opened())
            done = warm.run([*TTS, *arguments], env=environment, cwd=tmp_path, **streams)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout or b"", done.stderr or b"")

    return run


@pytest.mark.parametrize(
    ("redirection", "arguments"),
    [(">/dev/full", arguments) for arguments in RESULTS] + [(">&-", arguments) for arguments in RESULTS[-4:]],
)
def test_a_standard_output_that_takes_no_results(
    redirected: Shell, redirection: str, arguments: tuple[str, ...]
) -> None:
    result = redirected(redirection, *arguments)
    assert b"Traceback" not in result.stderr
    last = result.stderr.decode().splitlines()[-1]
    reason = "No space left on device" if "full" in redirection else "Bad file descriptor"
    assert last.startswith(f"tts: cannot write to standard output: {reason}")
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("redirection", "arguments"),
    [("<&- 2>&-", arguments) for arguments in RESULTS] + [("2>/dev/full", arguments) for arguments in RESULTS[-3:]],
)
def test_without_standard_error_the_results_are_the_same(
    redirected: Shell, tts: Run, redirection: str, arguments: tuple[str, ...]
) -> None:
    result, usual = redirected(redirection, *arguments), tts(*arguments)
    assert result.returncode == usual.returncode == 0
    assert len(result.stdout.splitlines()) == len(usual.stdout.splitlines())
    if "--json" in arguments:
        json.loads(result.stdout)
    elif "bench" not in arguments:  # which shows times
        assert result.stdout == usual.stdout


@pytest.mark.parametrize("redirection", ["2>/dev/full", "<&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("devices",), 3),
        (("sing",), 2),
        (("speak", "", "-o", "x.wav"), 2),
        (("speak", "Hello.", "-o", "x.wav", "--engine", "tests.sample_engines:BrokenEngine"), 1),
    ],
)
def test_a_message_for_nobody_is_on_no_other_stream_and_in_no_file(
    redirected: Shell, tmp_path: Path, redirection: str, arguments: tuple[str, ...], code: int
) -> None:
    result = redirected(redirection, *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (code, b"", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("redirection", ["<&-", "<&- >&- 2>&-", "2>&-"])
def test_a_file_never_takes_the_place_of_a_closed_stream(
    shell: Shell, tts: Run, tmp_path: Path, redirection: str
) -> None:
    tts("speak", "Hello, world.", "-o", "usual.wav", *TONE)
    result = shell(redirection, "speak", "Hello, world.", "-o", "x.wav", *TONE)
    assert result.returncode == 0
    assert result.stdout == b""
    assert (tmp_path / "x.wav").read_bytes() == (tmp_path / "usual.wav").read_bytes()


def test_sound_for_a_standard_output_that_is_closed_or_full(redirected: Shell) -> None:
    for command, code, says in (
        ((">&-", "speak", "Hello.", "-o", "-", *TONE), 2, "standard output is closed"),
        ((">/dev/full", "speak", "Hello.", "-o", "-", *TONE), 1, "No space left"),
        ((">/dev/full", "speak", "Hello.", "-o", "-", "--raw", *TONE), 1, "No space left"),
    ):
        result = redirected(*command)
        assert says in complaint(result)
        assert result.returncode == code


@pytest.mark.parametrize("source", [(), ("-",), ("-f", "-")])
def test_text_from_a_standard_input_that_is_closed(redirected: Shell, source: tuple[str, ...]) -> None:
    result = redirected("<&-", "speak", *source, "-o", "x.wav", *TONE)
    assert "standard input is closed" in complaint(result)
    assert result.returncode == 2


@pytest.mark.parametrize("redirection", [">", ">>"])
def test_a_wav_redirected_into_a_file_says_its_sizes(
    redirected: Shell, tts: Run, tmp_path: Path, redirection: str
) -> None:
    assert redirected(f"{redirection} out.wav", "speak", "Hello, world.", "-o", "-", *TONE).returncode == 0
    tts("speak", "Hello, world.", "-o", "x.wav", *TONE)
    sound, expected = soundfile.read(tmp_path / "out.wav")[0], soundfile.read(tmp_path / "x.wav")[0]
    assert (sound == expected).all()
    size = (tmp_path / "out.wav").stat().st_size
    assert int.from_bytes((tmp_path / "out.wav").read_bytes()[4:8], "little") == size - 8


def test_results_into_a_pipe_that_is_closed_are_nobodys_fault(shell: Shell) -> None:
    result = shell("| true; exit ${PIPESTATUS[0]}", "voice", "list")
    assert result.returncode in (0, 1)  # whichever was faster
    assert result.stderr == b""


def test_what_another_process_made_non_blocking_takes_all(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; ours, theirs = os.pipe(); os.set_blocking(theirs, False)\n"
        "process = subprocess.Popen(sys.argv[1:], stdout=theirs); os.close(theirs); size = 0\n"
        "while data := os.read(ours, 4096): size += len(data)\n"
        "print(size); sys.exit(process.wait())"
    )
    text = "Hello, world. " * 100
    command = [TTS[0], "-c", code, *TTS, "speak", text, "-o", "-", "--raw", *TONE]
    output = subprocess.run(command, env=clean_environment(), cwd=tmp_path, capture_output=True, check=True)
    assert int(output.stdout) > 1_000_000
