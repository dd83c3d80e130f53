"""The configurations of docs/integrations.md, in the programs that they are for."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from integrations import block, dispatching, put_command

from tests.harness import PATIENCE
from tests.loudspeaker import Speaker, despite_stalls

Program = Callable[..., "subprocess.CompletedProcess[bytes]"]


def needs(program: str) -> pytest.MarkDecorator:
    """Skip where a program is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture
def desk(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Variables with which `tts` is on the `PATH`, and writes what it speaks into the folder of the test."""
    settings = 'output = "said.wav"\nsubtitles = "said.json"\nengine = "tests.sample_engines:ToneEngine"\n'
    (tmp_path / "config.toml").write_text(settings)
    ours = {"PATH": put_command(tmp_path / "bin"), "TTS_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)}
    return environment | ours


@pytest.fixture
def run(desk: dict[str, str], tmp_path: Path) -> Program:
    """Run a program there."""

    def run(*command: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            env=desk | variables,
            cwd=tmp_path,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


def wait_until(fulfilled: Callable[[], bool]) -> None:
    """Wait for what other programs do."""
    deadline = time.monotonic() + PATIENCE
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def said(folder: Path) -> str:
    """What was spoken, when its file is there."""
    wait_until((folder / "said.json").exists)
    return " ".join(cue["text"] for cue in json.loads((folder / "said.json").read_text())["sentences"])


@needs("speech-dispatcher")
@pytest.mark.speaker
@despite_stalls
def test_speech_dispatcher_speaks_with_rate_and_volume_and_stops(speaker: Speaker, tmp_path: Path) -> None:
    environment = speaker.environment | {"PATH": put_command(tmp_path / "bin")}
    tone, loudness = "tts speak --engine tests.sample_engines:ToneEngine", []
    with dispatching(tmp_path / "speechd", environment, tone) as client:

        def say(*arguments: str) -> None:
            subprocess.run(["spd-say", *arguments], env=client, check=True, timeout=PATIENCE)

        text, lengths = "It's `5` o'clock, $HOME.", []
        for options in ((), ("--rate", "100"), ("--volume", "-100")):
            with speaker.recording() as recording:
                say("--wait", *options, text)
            sounding = np.flatnonzero(np.abs(recording.samples) > 50)
            lengths.append((sounding[-1] - sounding[0]) / 24_000)
            loudness.append(int(np.abs(recording.samples).max()))
        assert lengths[0] == pytest.approx(0.07 * len(text), rel=0.05), "the shell has changed nothing in the text"
        assert lengths[1] == pytest.approx(lengths[0] / 1.5, rel=0.05)
        assert loudness == pytest.approx([0.5 * 32767, 0.5 * 32767, 0.005 * 32767], rel=0.05)
        with speaker.recording() as recording:
            say("It rains. " * 1500)
            recording.wait_for_sound()
            say("--cancel")
            wait_until(lambda: time.monotonic() > recording.sounded + 2)


@needs("systemd-analyze")
def test_the_user_unit_is_one(run: Program, tmp_path: Path) -> None:
    put_command(tmp_path / ".local" / "bin")
    unit = tmp_path / "tts.service"
    unit.write_text(block("~/.config/systemd/user/tts.service"))
    checked = run("systemd-analyze", "--user", "verify", str(unit), XDG_RUNTIME_DIR=str(tmp_path))
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
    command = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    options = command.partition("tts ")[2].split()
    refused = run("tts", *options, "--engine", "none")
    assert refused.returncode == 2, "in RestartPreventExitStatus"
    assert b"there is no engine called 'none'" in refused.stderr


@needs("llm")
def test_llm_is_spoken_and_once_more(run: Program, desk: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "standin.py").write_text(
        """
import llm
class StandIn(llm.Model):
    model_id = "standin"
    can_stream = True
    def execute(self, prompt, stream, response, conversation):
        yield from ("Once, it ra", "ined. ", "Nobody went ", "out.")
@llm.hookimpl
def register_models(register):
    register(StandIn())
"""
    )
    plugin = tmp_path / "standin-0.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: standin\nVersion: 0\n")
    (plugin / "entry_points.txt").write_text("[llm]\nstandin = standin\n")
    ours = {
        "PYTHONPATH": f"{tmp_path}:{desk['PYTHONPATH']}",
        "LLM_USER_PATH": str(tmp_path),
        "PYTHONWARNINGS": "ignore",
    }
    assert run("llm", "models", "default", "standin", **ours).returncode == 0
    for command in ("llm: speak an answer", "llm: speak the last answer again"):
        done = run("sh", "-c", block(command), **ours)
        assert done.returncode == 0, done.stderr
        assert said(tmp_path) == "Once, it rained. Nobody went out."
        (tmp_path / "said.json").unlink()


@pytest.mark.parametrize(("target", "code", "outcome"), [("good", 0, "is done"), ("bad", 2, "has failed")])
@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_the_end_of_make_is_said(
    run: Program, tmp_path: Path, shell: str, target: str, code: int, outcome: str
) -> None:
    if shutil.which(shell) is None or shutil.which("make") is None:
        pytest.skip(f"{shell} or make is not installed")
    (tmp_path / "Makefile").write_text("good:\n\t@true\nbad:\n\t@false\n")
    script = block("shell: say how a command has ended") + f"aloud make {target}; code=$?; wait; exit $code"
    assert run(shell, "-c", script).returncode == code
    assert said(tmp_path) == f"make {outcome}."


@needs("git")
def test_git_says_what_was_pulled(run: Program, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        done = run("git", "-c", "user.name=Ada", "-c", "user.email=a@b", *words, GIT_CONFIG_NOSYSTEM="1")
        assert done.returncode == 0, done.stderr

    git("init", "-q", "theirs")
    git("-C", "theirs", "commit", "-q", "--allow-empty", "-m", "Begin")
    git("clone", "-q", "theirs", "ours")
    hook = tmp_path / "ours" / ".git" / "hooks" / "post-merge"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(block(".git/hooks/post-merge"))
    hook.chmod(0o755)
    for message in ("Add a door", "Paint it"):
        git("-C", "theirs", "commit", "-q", "--allow-empty", "-m", message)
    git("-C", "ours", "pull", "-q")
    assert said(tmp_path) == "Ada: Add a door. Ada: Paint it."


def has_jobs() -> bool:
    """Whether there is a Vim with jobs."""
    if shutil.which("vim") is None:
        return False
    return b"+job" in subprocess.run(["vim", "--version"], capture_output=True, check=False).stdout


@pytest.mark.skipif(not has_jobs(), reason="no Vim with jobs is installed")
@pytest.mark.parametrize(
    ("command", "spoken"), [("2,3Speak", "It rains. It pours."), ("Speak", "Hello. It rains. It pours. Bye.")]
)
def test_vim_speaks_lines(run: Program, tmp_path: Path, command: str, spoken: str) -> None:
    (tmp_path / "vimrc").write_text(block("~/.vimrc"))
    (tmp_path / "text").write_text("Hello.\nIt rains.\nIt pours.\nBye.\n")
    wait = "while job_status(g:tts) == 'run' | sleep 20m | endwhile"
    done = run("vim", "-N", "-es", "-u", "vimrc", "text", "-c", command, "-c", wait, "-c", "qa!")
    assert done.returncode == 0, done.stderr
    assert said(tmp_path) == spoken


@needs("emacs")
def test_emacs_speaks_the_region(run: Program, tmp_path: Path) -> None:
    (tmp_path / "init.el").write_text(block("~/.emacs"))
    (tmp_path / "text").write_text("Hello.\nIt rains.\nIt pours.\nBye.\n")
    speak = '(progn (find-file "text") (tts-speak-region 8 28))'
    wait = '(while (process-live-p (get-process "tts")) (accept-process-output nil 0.02))'
    done = run("emacs", "--batch", "-Q", "-l", "init.el", "--eval", speak, "--eval", wait)
    assert done.returncode == 0, done.stderr
    assert said(tmp_path) == "It rains. It pours."
