"""What bash, zsh and fish complete, asked as they ask themselves."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import PATIENCE, TTS

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

BASH = r"""
eval "$(_TTS_COMPLETE=source_bash tts)"
complete -p tts
ask() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _tts_completion tts; echo "$*: ${COMPREPLY[*]}"; }
ask tts mod
ask tts speak --engine builtin --voice ''
ask tts speak --strategy c
ask tts voice remove ''
ask tts speak -f ''
"""
ZSH = r"""
compdef() { :; }
_arguments() { print -r -- "$1" }
_files() { print files }
eval "$(_TTS_COMPLETE=source_zsh tts)"
words=(tts speak --engine '') CURRENT=4; _tts_completion
words=(tts speak -f '') CURRENT=4; _tts_completion
"""
FISH = r"""
_TTS_COMPLETE=source_fish tts | source
complete -C 'tts speak --engine '
complete -C 'tts speak -f song'
"""


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Shell:
    """Run a program of a shell in which `tts` is in the path, a voice was made, and one file is in the folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tts").write_text(f'#!/bin/sh\nexec {shlex.join(TTS)} "$@"\n')
    (tmp_path / "bin/tts").chmod(0o755)
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices/anna.pt").write_bytes(b"")
    (tmp_path / "song.txt").write_text("La.")
    own = {"TTS_VOICES_DIR": str(tmp_path / "voices"), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    variables = environment | own | {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}"}

    def run(name: str, program: str, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
        quiet = {"bash": "--norc", "zsh": "--no-rcs", "fish": "--no-config"}[name]
        command = [name, quiet, "-c", program]
        return subprocess.run(
            command,
            env=variables | (more or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


def test_bash_completes_commands_voices_strategies_and_leaves_files_to_itself(shell: Shell) -> None:
    done = shell("bash", BASH)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "complete -o default -F _tts_completion tts",
        "tts mod: model",
        "tts speak --engine builtin --voice : heart",
        "tts speak --strategy c: context cached",
        "tts voice remove : anna",
        "tts speak -f : ",
    ]


def test_zsh_completes_engines_with_what_they_are_and_files(shell: Shell) -> None:
    done = shell("zsh", ZSH)
    assert done.stderr == ""
    *engines, files = done.stdout.splitlines()
    assert files == "files"
    assert '"builtin":"American English, one voice' in "".join(engines)


def test_fish_completes_engines_with_what_they_are_and_files(shell: Shell) -> None:
    done = shell("fish", FISH)
    assert done.stderr == ""
    engines = dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    assert engines["auto"] == "the first that can speak here"
    assert done.stdout.splitlines()[-1] == "song.txt"


def test_completion_is_installed_for_the_shell_that_asks(shell: Shell, tmp_path: Path) -> None:
    done = shell("bash", 'tts --install-completion; code=$?; . "$HOME/.bashrc"; complete -p tts; exit $code')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "complete -o default -F _tts_completion tts"
    assert str(tmp_path) in done.stdout


def test_devices_are_completed_by_their_numbers(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "from types import SimpleNamespace as N\nfrom tts_cli.playback import devices\n"
        "devices.list_devices = lambda: [N(index=3, name='USB\\x1b[7m 2')]\n"
        "from tts_cli.cli.completion import devices as complete\nprint(complete())"
    )
    done = subprocess.check_output([sys.executable, "-c", code], env=environment, cwd=tmp_path, text=True)
    assert done == "[('3', 'USB\\\\x1b[7m 2')]\n"


def test_nothing_is_completed_where_nothing_can_be_read(shell: Shell, tmp_path: Path) -> None:
    program = (
        "_TTS_COMPLETE=complete_bash COMP_CWORD=3 COMP_WORDS=$'tts\\nvoice\\nremove\\n' tts;"
        "_TTS_COMPLETE=complete_bash COMP_CWORD=3 COMP_WORDS=$'tts\\nspeak\\n--output-device\\n' tts"
    )
    done = shell("bash", program, {"TTS_VOICES_DIR": f"{tmp_path}/song.txt"})
    assert (done.stdout.strip(), done.stderr) == ("", "")
    assert os.listdir(tmp_path / "voices") == ["anna.pt"]  # noqa: PTH208
