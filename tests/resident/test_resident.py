"""`tts speak --keep-warm`: real processes that stay, are used again and end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, Run, complaint
from tests.resident.keeping import SAMPLES, begun, kept, pid_of, speak, wait_for, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TEXT = "It rains. It pours. The old man snores."
LONG = "And so on and on, without an end to it, until somebody has had enough of it. "


def test_the_samples_are_those_without_it_and_the_process_is_used_again(tts: Run) -> None:
    cold = speak(tts, TEXT, "--engine", "builtin", "--server", "off")
    assert "no engine is kept" in kept(tts)[0]
    first = speak(tts, TEXT, "--engine", "builtin", "--keep-warm", "10m")
    (line,) = kept(tts)
    assert line.startswith("builtin, process ")
    assert "ends after 600 s without use" in line
    second = speak(tts, "--engine", "builtin", input=TEXT.encode())
    assert pid_of(kept(tts)[0]) == pid_of(line)
    assert cold.stdout == first.stdout == second.stdout
    assert (first.returncode, first.stderr) == (second.returncode, second.stderr) == (0, b"")
    stopped = tts("server", "stop")
    assert stopped.stdout.decode() == f"ended: builtin, process {pid_of(line)}\n"
    wait_until_gone(pid_of(line))
    assert "no engine is kept" in kept(tts)[0]
    again = tts("server", "stop")
    assert (again.returncode, b"no engine is kept" in again.stdout) == (0, True)


def test_a_process_that_runs_is_used_unless_the_server_is_off(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """By the command line and by the file of settings. The engine writes a line when it is loaded."""
    (tmp_path / "mine.py").write_text(
        "from tests.sample_engines import ToneEngine\n"
        "class Mine(ToneEngine):\n"
        "    def __init__(self, settings):\n"
        "        super().__init__(settings)\n"
        f"        open({str(tmp_path / 'loaded')!r}, 'a').write('once')\n"
    )

    def loads(*arguments: str, server: str = "auto") -> int:
        (tmp_path / "config.toml").write_text(f'server = "{server}"\n')
        changed = environment | {"TTS_CONFIG_DIR": str(tmp_path)}
        done = speak(tts, "Hi.", "--engine", "mine:Mine", *arguments, cwd=tmp_path, env=changed)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "loaded").read_text().count("once")

    assert loads("--server", "off", "--keep-warm", "10m") == 1
    assert loads("--keep-warm", "10m") == 2
    assert [loads(), loads("--server", "auto", server="off"), loads("--keep-warm", "off")] == [2, 2, 2]
    assert [loads("--server", "off"), loads(server="off")] == [3, 4]


def test_doctor_shows_it(tts: Run) -> None:
    speak(tts, "Hi.", "--engine", "builtin", "--keep-warm", "10m")
    lines = tts("doctor").stdout.decode().splitlines()
    assert [line for line in lines if line.startswith("✓ kept engine ")] != []


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        ("PickyEngine", "This is good. This is bad. So is this."),
        ("PickyEngine", "This is bad."),
        ("CurtEngine", "This is long and goes on. This is not."),
        ("RefusingEngine", "Hi."),
        ("BrokenEngine", "Hi. Ho."),
        ("ToneEngine", "..."),
    ],
)
def test_errors_notices_and_exit_codes_are_those_without_it(tts: Run, engine: str, text: str) -> None:
    cold = speak(tts, text, "--engine", SAMPLES + engine, "--server", "off")
    there = speak(tts, text, "--engine", SAMPLES + engine, "--keep-warm", "10m")
    assert (there.returncode, there.stderr.decode()) == (cold.returncode, cold.stderr.decode())
    assert there.stdout == cold.stdout
    if text != "...":
        assert "process" in kept(tts)[0]


def test_text_is_spoken_while_it_arrives(environment: dict[str, str]) -> None:
    with begun(environment, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for sentence in (b"It rains. ", b"It pours. "):
            process.stdin.write(sentence)
            process.stdin.flush()
            assert len(process.stdout.read(9600)) == 9600
        process.stdin.close()
        assert process.stdout.read()
        assert process.wait(PATIENCE) == 0


def test_ctrl_c_ends_what_is_spoken_and_not_the_process(tts: Run, environment: dict[str, str]) -> None:
    with begun(environment, LONG * 20) as process:
        assert process.stdout is not None
        process.stdout.read(9600)
        assert "speaks 1" in kept(tts)[0]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE)[1] == b""
    assert process.returncode == 130
    wait_for(tts, "not used for")


def test_it_ends_when_it_is_not_used(tts: Run, environment: dict[str, str]) -> None:
    speak(tts, "Hi.", "--engine", f"{SAMPLES}ToneEngine", "--keep-warm", "1s")
    folder = Path(environment["XDG_RUNTIME_DIR"], "tts")
    deadline = time.monotonic() + PATIENCE
    while list(folder.glob("*.sock")):
        assert time.monotonic() < deadline
    assert "no engine is kept" in kept(tts)[0]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_of_processes_that_begin_at_once_one_stays(tts: Run, environment: dict[str, str]) -> None:
    command = [*TTS, "speak", "Hi.", "--engine", f"{SAMPLES}ToneEngine", "--keep-warm", "10m", "-q", "-o", "-", "--raw"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [warm.popen(command, env=environment, cwd=ROOT, **pipes) for _ in range(4)]  # type: ignore[arg-type]
    results = [process.communicate(timeout=PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len({sound for sound, _ in results}) == 1
    assert {said for _, said in results} == {b""}
    assert len(kept(tts)) == 1


@pytest.mark.parametrize("value", ["", "0", "10 m", "soon", "-1", "1d"])
def test_a_time_that_is_none_is_one_line(tts: Run, value: str) -> None:
    refused = tts("speak", "Hi.", "-o", "x.wav", f"--keep-warm={value}")
    assert refused.returncode == 2
    assert "--keep-warm" in complaint(refused)


def test_a_setting_in_the_file_keeps_it(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('keep-warm = "10m"\nengine = "builtin"\n')
    changed = environment | {"TTS_CONFIG_DIR": str(tmp_path)}
    assert speak(tts, "Hi.", env=changed).returncode == 0
    assert "process" in kept(tts)[0]


def test_without_the_packages_it_is_said_what_to_install(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets" / "__init__.py").write_text("raise ImportError('No module named websockets')")
    changed = environment | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    refused = tts("speak", "Hi.", "--engine", "builtin", "--keep-warm", "10m", "-o", "x.wav", env=changed)
    assert refused.returncode == 3
    assert "pip install '.[serve]'" in complaint(refused)


def test_what_the_engine_has_chosen_is_told(tts: Run, tmp_path: Path) -> None:
    engine = ("--engine", f"{SAMPLES}SlowChoosingEngine", "--keep-warm", "10m")
    done = tts("speak", "It rains.", *engine, "-o", str(tmp_path / "x.wav"), "--json", cwd=ROOT)
    assert json.loads(done.stdout)["auto"] == {"device": "cpu", "strategy": "far", "threads": 2, "measured": False}
    assert done.stderr.decode().splitlines()[-1].endswith("measure with: tts tune")


@pytest.mark.parametrize("speed", ["1", "1.5"])
def test_chatterbox_sounds_the_same(tts: Run, tiny: Path, speed: str) -> None:
    options = ["--model-dir", str(tiny), "--precision", "fp32", "--threads", "1", "--seed", "7", "--speed", speed]
    cold = speak(tts, TEXT, *options, "--server", "off")
    there = speak(tts, TEXT, *options, "--keep-warm", "10m")
    assert (there.returncode, there.stderr) == (cold.returncode, cold.stderr)
    assert there.stdout == cold.stdout
    assert there.stdout
    assert kept(tts)[0].startswith("chatterbox, ")
