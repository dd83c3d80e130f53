"""`scripts/speak` and `scripts/test`: what they set up and say, and what they hand on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

SHELL_FILES = ["scripts/speak", "scripts/test", "scripts/setup.sh", ".ci/run"]
TELL = '#!/bin/sh\npwd\nprintf "<%s>" "$@"\necho\ncat\nexit 7\n'
BARE_PYTHON = """\
case $1:$2 in
    -c:*version_info*_base_executable*) echo "$0" ;;
    -c:*urlopen*) [ -n "${CPU_BUILDS_IN_REACH:-}" ] ;;
    --version:) echo "Python 3.13.0" ;;
    -m:venv)
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        for tool in tts ruff mypy lint-imports; do printf '#!/bin/sh\\n' >"$3/bin/$tool"; done
        printf '#!/bin/sh\\necho "1 passed"\\n' >"$3/bin/pytest"
        chmod +x "$3"/bin/*
        ;;
    -m:pip)
        echo "pip $*"
        case "$*" in *extra-index-url*) [ -z "${CPU_BUILDS_BROKEN:-}" ] ;; esac
        ;;
esac
"""
"""A Python that only pretends to install: what set-up says and asks for takes no network and no gigabytes."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is not set up yet."""
    root = tmp_path / "a checkout"
    (root / "scripts").mkdir(parents=True)
    for name in ("scripts/speak", "scripts/test", "scripts/setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture
def ready(checkout: Path) -> Path:
    """A checkout whose set-up is done, with a `tts` that tells how it was called."""
    tts = checkout / ".venv/bin/tts"
    tts.parent.mkdir(parents=True)
    tts.write_text(TELL)
    tts.chmod(0o755)
    with (checkout / "pyproject.toml").open("rb") as project:
        checksum = subprocess.run(["cksum"], stdin=project, capture_output=True, text=True, check=True).stdout.strip()
    (checkout / ".venv/setup-state").write_text(f"speak {checksum} {checkout.resolve()}\n")
    return checkout


def speak(checkout: Path, *arguments: str, path: str | None = None, text: str = "") -> subprocess.CompletedProcess[str]:
    return run(checkout / "scripts/speak", *arguments, path=path, text=text)


def run(
    script: Path, *arguments: str, path: str | None = None, text: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    elsewhere = script.parent.parent.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(
        [script, *arguments],
        input=text,
        cwd=elsewhere,
        env=os.environ | {"PATH": path or os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def only_tools(folder: Path) -> str:
    """A PATH on which there is what the scripts use, but no Python."""
    folder.mkdir()
    for tool in ("cat", "chmod", "cksum", "cp", "date", "dirname", "grep", "mkdir", "rm", "tail", "touch", "uname"):
        (folder / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing"))
    return str(folder)


def add_python(folder: str, body: str) -> None:
    python = Path(folder, "python3")
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)


@pytest.mark.parametrize("name", SHELL_FILES)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shell_files_parse(shell: str, name: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", ROOT / name], check=True)


@pytest.mark.parametrize("name", ["scripts/speak", "scripts/test", ".ci/run"])
def test_commands_are_executable(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)


def test_arguments_input_folder_and_exit_code_are_those_of_tts(ready: Path) -> None:
    done = speak(ready, "Hello,  world.", "--pause", "0", text="one\ntwo\n")
    elsewhere = (ready.parent / "elsewhere").resolve()
    assert done.stdout == f"{elsewhere}\n<speak><--fallback><speech.wav><Hello,  world.><--pause><0>\none\ntwo\n"
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize(
    "arguments", [["-o", "a.wav", "Hi"], ["Hi", "-oa.wav"], ["--output=a.wav", "Hi"], ["-qo", "-"]]
)
def test_a_named_output_needs_no_stand_in(ready: Path, arguments: list[str]) -> None:
    assert "<--fallback>" not in speak(ready, *arguments).stdout


@pytest.mark.parametrize("arguments", [["--output-device", "1", "Hi"], ["--", "-o is a letter"], []])
def test_what_only_looks_like_an_output_keeps_the_stand_in(ready: Path, arguments: list[str]) -> None:
    assert "<speak><--fallback><speech.wav>" in speak(ready, *arguments).stdout


def test_the_set_up_for_everything_serves_to_speak(ready: Path) -> None:
    state = ready / ".venv/setup-state"
    state.write_text(state.read_text().replace("speak", "everything", 1))
    assert speak(ready, "Hi").returncode == 7


def test_once_set_up_it_asks_for_no_python(ready: Path) -> None:
    assert speak(ready, "Hi", path=only_tools(ready.parent / "bin")).returncode == 7


@pytest.mark.parametrize(
    "python",
    [None, "exit 1", "echo 'pyenv: python3: command not found' >&2; exit 127"],
    ids=["none", "too old", "a stub"],
)
def test_without_a_new_enough_python_one_line_says_what_to_install(checkout: Path, python: str | None) -> None:
    path = only_tools(checkout.parent / "bin")
    if python is not None:
        add_python(path, python)
    done = speak(checkout, "Hi", path=path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Python 3.10" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("spoilt", ["pyproject.toml", "place", "unfinished"])
def test_a_set_up_that_no_longer_fits_is_done_again(ready: Path, spoilt: str) -> None:
    state = ready / ".venv/setup-state"
    if spoilt == "pyproject.toml":
        with (ready / "pyproject.toml").open("a") as project:
            project.write("\n")
    elif spoilt == "place":
        ready = ready.rename(ready.parent / "moved")
    else:
        state.write_text("unfinished\n")
    # With no Python in reach the wish to set up shows at once.
    assert speak(ready, "Hi", path=only_tools(ready.parent / "bin")).returncode == 3


def bare_machine(checkout: Path) -> str:
    """A PATH with a Python that installs nothing, and no `nvidia-smi`."""
    path = only_tools(checkout.parent / "bin")
    add_python(path, BARE_PYTHON)
    return path


def test_set_up_says_what_it_does_how_long_that_takes_and_how_long_it_took(checkout: Path) -> None:
    path = bare_machine(checkout)
    done = speak(checkout, "Hi", path=path)
    assert (done.returncode, done.stdout) == (0, "")
    *steps, took = done.stderr.splitlines()
    assert len(steps) == 2
    assert ".venv" in steps[0]
    assert "50 MB" in steps[1]
    assert all(re.search(r"second|minute", step) for step in steps)
    assert re.fullmatch(r"Set up in \d+ s\.", took)
    assert speak(checkout, "Hi", path=path).stderr == ""


def test_the_test_command_sets_up_everything_then_checks(checkout: Path) -> None:
    done = run(checkout / "scripts/test", path=bare_machine(checkout))
    assert (done.returncode, done.stdout) == (0, "1 passed\n")
    steps = done.stderr.splitlines()
    assert "GB" in steps[1]
    assert "minutes" in steps[1]
    assert "pip -m pip install -q -e .[chatterbox,cluster,serve,test]\n" in (checkout / ".venv/setup.log").read_text()


def asked_of_pip(checkout: Path, machine: str, nvidia: bool, script: str, **environment: str) -> str:
    path = bare_machine(checkout)
    (Path(path) / "uname").unlink()
    system, processor = machine.split()
    tools = {"uname": f"[ $1 = -s ] && echo {system} || echo {processor}"}
    if nvidia:
        tools["nvidia-smi"] = ""
    for name, body in tools.items():
        (Path(path) / name).write_text(f"#!/bin/sh\n{body}\n")
        (Path(path) / name).chmod(0o755)
    done = run(checkout / "scripts" / script, path=path, **environment)
    assert done.returncode == 0, done.stderr
    return (checkout / ".venv/setup.log").read_text()


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has an NVIDIA driver")
def test_without_an_nvidia_driver_the_tests_take_torch_for_the_cpu(checkout: Path) -> None:
    asked = asked_of_pip(checkout, "Linux x86_64", False, "test", CPU_BUILDS_IN_REACH="yes")
    assert "-e .[chatterbox,cluster,serve,test] --extra-index-url https://download.pytorch.org/whl/cpu\n" in asked


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has an NVIDIA driver")
def test_where_torch_for_the_cpu_does_not_install_the_ordinary_index_serves(checkout: Path) -> None:
    reached = {"CPU_BUILDS_IN_REACH": "yes", "CPU_BUILDS_BROKEN": "yes"}
    asked = asked_of_pip(checkout, "Linux x86_64", False, "test", **reached).splitlines()
    assert "extra-index-url" in asked[-2]
    assert asked[-1].endswith("-e .[chatterbox,cluster,serve,test]")
    assert (checkout / ".venv/setup-state").read_text().startswith("everything ")


@pytest.mark.parametrize(
    ("machine", "nvidia", "script", "reached"),
    [
        ("Linux x86_64", False, "test", ""),
        ("Linux x86_64", True, "test", "yes"),
        ("Linux aarch64", False, "test", "yes"),
        ("Darwin arm64", False, "test", "yes"),
        ("Linux x86_64", False, "speak", "yes"),
    ],
    ids=["index out of reach", "NVIDIA", "arm64", "macOS", "only to speak"],
)
def test_everywhere_else_the_ordinary_index_serves(
    checkout: Path, machine: str, nvidia: bool, script: str, reached: str
) -> None:
    asked = asked_of_pip(checkout, machine, nvidia, script, CPU_BUILDS_IN_REACH=reached)
    assert "-m pip install" in asked
    assert "extra-index" not in asked


@pytest.mark.slow
def test_an_unreachable_index_is_one_line_and_the_next_run_tries_again(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    for name, value in {
        "INDEX_URL": nowhere,
        "EXTRA_INDEX_URL": nowhere,
        "RETRIES": "0",
        "CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for _ in range(2):
        done = speak(checkout, "Hi")
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot be reached" in done.stderr.splitlines()[-1]
        assert "speak" not in (checkout / ".venv/setup-state").read_text()
