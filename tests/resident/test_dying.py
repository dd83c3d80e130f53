"""What happens when the process that keeps the engine dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, Run
from tests.resident.keeping import SAMPLES, begun, kept, pids, speak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def kill_it(environment: dict[str, str]) -> None:
    """At once: by the lock that it holds, and not by what `tts server status` would say some time later."""
    (pid,) = pids(environment["XDG_RUNTIME_DIR"])
    os.kill(pid, signal.SIGKILL)


def test_when_the_process_dies_the_segment_is_said_again_once(tts: Run, environment: dict[str, str]) -> None:
    text = "It rains and pours. It snows."
    whole = speak(tts, text, "--engine", f"{SAMPLES}ToneEngine", "--server", "off").stdout
    with begun(environment, text) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        start = process.stdout.read(9600)
        kill_it(environment)
        # Not `communicate`, which would not know what the first read has taken into its buffer.
        heard, said = start + process.stdout.read(), process.stderr.read()
    assert process.returncode == 0
    assert heard.endswith(whole)
    before = heard[: -len(whole)]
    assert before
    assert whole.startswith(before)
    assert len(before) < len(whole)
    (line,) = said.decode().splitlines()
    assert "the process that held the engine has ended" in line
    # Its socket is there, and does not disturb: it is swept, and another process can begin.
    assert speak(tts, text, "--engine", f"{SAMPLES}SlowEngine").stdout == whole
    assert "no engine is kept" in kept(tts)[0]
    assert not list(Path(environment["XDG_RUNTIME_DIR"], "tts").glob("*.sock"))


def test_the_summary_and_the_json_say_that_a_segment_was_said_again(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    options = ["speak", "It rains and pours. It snows.", "--engine", f"{SAMPLES}SlowEngine", "--json"]
    command = [*TTS, *options, "--keep-warm", "10m", "-o", str(tmp_path / "x.wav")]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with warm.popen(command, env=environment, cwd=ROOT, **pipes) as process:  # type: ignore[arg-type]
        deadline = time.monotonic() + PATIENCE
        while sum(draft.stat().st_size for draft in tmp_path.glob(".tts-*.part")) < 9600:
            assert time.monotonic() < deadline
        kill_it(environment)
        told, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    notice, summary = said.decode().splitlines()
    assert "has ended" in notice
    assert " · 1 segment said again · " in summary
    assert json.loads(told)["repeated_segments"] == 1
    whole = tts(*options, "--engine", f"{SAMPLES}ToneEngine", "--server", "off", "-o", "x.wav")
    assert b"said again" not in whole.stderr
    assert json.loads(whole.stdout)["repeated_segments"] == 0
