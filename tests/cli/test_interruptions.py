"""Ctrl-C and its kin, in real processes: every wait ends, sound that was made is kept, and nothing else is left."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests import warm
from tests.harness import PATIENCE, TTS, Run, complaint
from tests.terminal import terminal
from tts_cli.signals import SIGNALS

Process = subprocess.Popen
Start = Callable[..., "Process[bytes]"]
LONG = "This is a sentence. " * 200
SLOW = ("--engine", "tests.sample_engines:SlowEngine")
TONE = ("--engine", "tests.sample_engines:ToneEngine")
TELLING = ("--engine", "tests.sample_engines:TellingEngine")


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts `tts`; whatever still runs at the end is killed."""
    running: list[Process[bytes]] = []

    def start(*arguments: str, **options: Any) -> Process[bytes]:
        streams: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        process = warm.popen([*TTS, *arguments], env=environment, cwd=tmp_path, **streams)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def end(process: Process[bytes], number: int = signal.SIGINT) -> tuple[bytes, bytes]:
    """Interrupt it; what it printed from now on."""
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert b"Traceback" not in err
    return out, err


def draft(folder: Path, process: Process[bytes], size: int = 0) -> None:
    """Until a draft of so many bytes lies in the folder."""
    while not any(part.stat().st_size >= size for part in folder.glob(".*.part")):
        assert process.poll() is None


def line(process: Process[bytes]) -> bytes:
    assert process.stderr is not None
    return process.stderr.readline().strip()


@contextmanager
def full_pipe(process: Process[bytes], handle: int) -> Iterator[None]:
    """With a pipe that its writer has filled and nobody reads."""
    while struct.unpack("i", fcntl.ioctl(handle, termios.FIONREAD, b"\0" * 4))[0] < 60_000:
        assert process.poll() is None
    yield


@pytest.mark.parametrize("number", SIGNALS)
def test_before_a_command_runs_it_is_one_exit_code_and_no_traceback(environment: dict[str, str], number: int) -> None:
    code = f"import os, tts_cli.__main__\nos.kill(os.getpid(), {int(number)})\nprint('still here')"
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (128 + number, b"", b"")


def test_ctrl_c_inside_code_in_a_string_has_the_usual_exit_code(environment: dict[str, str]) -> None:
    code = """
import signal, sys
from tts_cli import signals
signals.listen()
signals.start()
try:
    exec("signal.raise_signal(signal.SIGTERM)")
except KeyboardInterrupt:
    signals.ignore()
    sys.exit(signals.exit_code())
"""
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 143


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_before_the_first_sound_the_old_file_stays(start: Start, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"old.{suffix}"
    path.write_bytes(b"precious")
    process = start("speak", "-o", path.name, *TONE, stdin=subprocess.PIPE)
    draft(tmp_path, process)
    end(process)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", SIGNALS)
def test_simple_mode_reports_what_was_delivered(start: Start, tmp_path: Path, number: int) -> None:
    process = start("speak", LONG, "-o", "x.wav", "--mode", "simple", "--json", *TELLING)
    while line(process) != b"computing":
        pass
    out, err = end(process, number)
    assert b"nothing written to x.wav" in err
    report = json.loads(out)
    assert report["state"] == "interrupted"
    assert report["delivered_ms"] == 0
    assert report["audio_ms"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_reported_is_in_the_file(start: Start, tmp_path: Path, number: int) -> None:
    process = start("speak", LONG, "-o", "x.wav", "--json", *SLOW)
    draft(tmp_path, process, size=9600)
    out, err = end(process, number)
    seconds = soundfile.info(tmp_path / "x.wav").duration
    assert seconds > 0
    assert json.loads(out)["delivered_ms"] == pytest.approx(1000 * seconds, abs=0.1)
    assert f"{seconds:.1f} s to x.wav".encode() in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_a_second_ctrl_c_does_not_wait_and_keeps_the_sound(start: Start, tmp_path: Path) -> None:
    process = start("speak", LONG, "-o", "x.wav", "--engine", "tests.sample_engines:StuckEngine")
    draft(tmp_path, process, size=30_000)
    process.send_signal(signal.SIGINT)
    end(process)
    assert soundfile.info(tmp_path / "x.wav").frames == 2 * 9600
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_a_terminal_that_is_closed_ends_the_run_as_ctrl_c_does(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("speak", LONG, "-o", "x.wav", *SLOW)
    with terminal(*arguments, environment=environment, folder=tmp_path) as window:
        window.wait_for("TTFA")
        draft(tmp_path, window.process, size=9600)
        window.close()
        assert window.process.wait(PATIENCE) == 129
    assert soundfile.info(tmp_path / "x.wav").frames > 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_after_nohup_the_run_survives_its_terminal(start: Start, tmp_path: Path) -> None:
    process = start(
        *("speak", "-o", "x.wav", *TONE),
        stdin=subprocess.PIPE,
        ignored=[signal.SIGHUP],
    )
    draft(tmp_path, process)
    process.send_signal(signal.SIGHUP)
    process.communicate(b"Hello, world.", timeout=PATIENCE)
    assert process.returncode == 0
    assert soundfile.info(tmp_path / "x.wav").frames > 0


def test_a_named_pipe_that_nobody_reads(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    process = start("speak", "Hello.", "-o", "fifo", *TELLING)
    assert line(process) == b"loaded"
    end(process)


def test_a_named_pipe_and_no_such_engine(tts: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    result = tts("speak", "Hello.", "-o", "fifo", "--engine", "bob")
    assert result.returncode == 2
    assert "bob" in complaint(result)
    result = tts("speak", "Hello.", "-o", "fifo", "--engine", "tests.sample_engines:Nobody")
    assert result.returncode == 2
    complaint(result)


def test_a_named_pipe_whose_reader_stalls(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    process = start("speak", LONG, "-o", "fifo", "--json", *TONE)
    with (tmp_path / "fifo").open("rb") as reader, full_pipe(process, reader.fileno()):
        out, _ = end(process)
        sound = reader.read()[44:]
    assert json.loads(out)["delivered_ms"] == pytest.approx(len(sound) / 48, abs=0.1)


def test_a_named_pipe_with_a_reader_gets_all(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    process = start("speak", "Hello, world.", "-o", "fifo", "--json", *TONE)
    with (tmp_path / "fifo").open("rb") as reader:
        sound = reader.read()[44:]
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads(out)["delivered_ms"] == json.loads(out)["audio_ms"] == pytest.approx(len(sound) / 48, abs=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="nothing tells when it has begun to wait")
def test_text_from_a_named_pipe_that_nobody_writes(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    process = start("speak", "-f", "fifo", "-o", "x.wav", *TONE)
    waits = Path(f"/proc/{process.pid}/wchan")  # in Linux's kernel
    while waits.read_text() != "wait_for_partner":
        assert process.poll() is None
    end(process)
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


@pytest.mark.parametrize("number", SIGNALS)
def test_standard_output_whose_reader_stalls(start: Start, number: int) -> None:
    process = start("speak", LONG, "-o", "-", *TONE)
    assert process.stdout is not None
    with full_pipe(process, process.stdout.fileno()):
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number


def test_results_that_nobody_takes(start: Start) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"\0" * 4096)
    os.set_blocking(theirs, True)
    process = start("speak", "Hello.", "-o", "/dev/null", "--json", *TONE, stdout=theirs)
    assert b"to /dev/null" in line(process)  # the summary; the JSON object comes after it
    end(process)
    os.close(ours)
    os.close(theirs)


def test_a_file_that_appears_meanwhile_is_not_clobbered(start: Start, tmp_path: Path) -> None:
    process = start("speak", "-o", "x.wav", "--no-clobber", *TONE, stdin=subprocess.PIPE)
    draft(tmp_path, process)
    (tmp_path / "x.wav").write_bytes(b"precious")
    _, err = process.communicate(b"Hello.", timeout=PATIENCE)
    assert b"x.wav exists already" in err
    assert process.returncode == 2
    assert (tmp_path / "x.wav").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]
