"""What the documentation says is so: its commands run, its code runs, its links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from _pytest.mark import ParameterSet
from typer.core import TyperGroup

import tts_cli
from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, Run, clean_environment
from tests.loudspeaker import Speaker
from tts_cli import errors, signals
from tts_cli.cli import app
from tts_cli.cli.commands import SUMMARIES
from tts_cli.cli.display import View, report
from tts_cli.metrics import Snapshot
from tts_cli.playback import SinkStatus
from tts_cli.playback.file import FORMATS

PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "voices/README.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
SPEAK = re.compile(r"\bspeak\([^)]*\)")


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def plays(code: str) -> bool:
    return any("output=" not in call for call in SPEAK.findall(code))


def python_examples() -> Iterator[ParameterSet]:
    for page in PAGES:
        for number, code in enumerate(blocks(page, "python")):
            yield pytest.param(
                code, marks=[pytest.mark.speaker] if plays(code) else [], id=f"{page.relative_to(ROOT)}-{number}"
            )


def shell_lines() -> list[str]:
    """The README's shell commands that call `tts`, without comments."""
    lines = [
        line.partition(" #")[0].strip() for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()
    ]
    return [line for line in lines if re.search(r"\btts\b", line)]


def calls() -> Iterator[list[str]]:
    """The words of each call of `tts` in the README's shell commands."""
    for line in shell_lines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;()")
        lexer.whitespace_split = True
        call: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|;()"):
                if call[:1] == ["tts"]:
                    yield call
                call = []
            else:
                call.append(word)


@pytest.mark.slow
def test_generated_pages_are_fresh() -> None:
    done = warm.run([sys.executable, ROOT / "scripts/make_docs.py", "--check"], env=clean_environment())
    assert done.returncode == 0, f"{done.stdout.decode()}{done.stderr.decode()}run: python scripts/make_docs.py"


@pytest.mark.parametrize("code", list(python_examples()))
def test_python_example_runs(code: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = "speaker" if plays(code) else "environment"
    fixture: Speaker | dict[str, str] = request.getfixturevalue(name)
    environment = fixture.environment if isinstance(fixture, Speaker) else fixture
    done = warm.run([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


def test_readme_has_examples() -> None:
    assert len(list(calls())) >= 10
    assert blocks(ROOT / "README.md", "python")


@pytest.mark.parametrize("call", list(calls()), ids=" ".join)
def test_readme_call_is_accepted(call: list[str]) -> None:
    """The command line of it is parsed as it would be, and nothing is run."""
    command: Any = typer.main.get_command(app)
    words = call[1:]
    while isinstance(command, TyperGroup):
        context = command.make_context("tts", [], resilient_parsing=True)
        command = command.get_command(context, words.pop(0))
    command.make_context(" ".join(call), words)


@pytest.mark.parametrize("line", [line for line in shell_lines() if " -o " in line and "--play" not in line])
def test_readme_command_that_needs_no_device_runs(line: str, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tts").write_text(f'#!/bin/sh\nexec {shlex.join(TTS)} "$@"\n')
    (tmp_path / "tts").chmod(0o755)
    (tmp_path / "book.txt").write_text("It was night. Nobody slept.")
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "--json" in line:
        assert json.loads(done.stdout)["state"] == "done"


def test_readme_names_only_options_there_are() -> None:
    named = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"```sh.*?```", "", prose("README.md"), flags=re.DOTALL))
    )
    there = set(re.findall(r"--[a-z][a-z-]*", prose("docs/cli.md")))
    assert named <= there


def test_readme_names_the_commands_a_newcomer_needs() -> None:
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert {'scripts/speak "Hello, world."', "scripts/test", "pip install ."} <= set(lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in links."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """By their whole path, or by its end; `models/` is upstream's."""
    named = re.findall(r"`(?!models/)([\w/]+\.py)`", page.read_text(encoding="utf-8"))
    folders = [ROOT / name for name in ("tts_cli", "tests", "scripts", "examples")]
    files = [f"/{file.relative_to(ROOT)}" for folder in folders for file in folder.rglob("*.py")]
    assert [name for name in named if not any(file.endswith(f"/{name}") for file in files)] == []


def test_json_fields_are_documented() -> None:
    view = View("builtin", "heart", "streaming", "", "done", Snapshot(), SinkStatus())
    rows = prose("docs/metrics.md").partition("## The JSON object")[2]
    assert re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE) == list(report(view, 0, ""))


def test_public_names() -> None:
    assert all(getattr(tts_cli, name) for name in tts_cli.__all__)
    assert set(re.findall(r"^## `(\w+)`$", prose("docs/python.md"), re.MULTILINE)) == set(tts_cli.__all__)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda file: file.stem)
def test_an_example_runs(example: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    playing = example.stem == "play"
    fixture: Speaker | dict[str, str] = request.getfixturevalue("speaker" if playing else "environment")
    environment = fixture.environment if isinstance(fixture, Speaker) else fixture
    done = warm.run([sys.executable, example], cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert playing or done.stdout


def test_the_engine_of_the_tutorial_speaks(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (code,) = blocks(ROOT / "docs/engines.md", "python")
    (tmp_path / "humming.py").write_text(code)
    package = tmp_path / "humming-1.dist-info"
    package.mkdir()
    (entry_point,) = blocks(ROOT / "docs/engines.md", "toml")
    (package / "entry_points.txt").write_text("[tts_cli.engines]\n" + entry_point.splitlines()[1].replace('"', ""))
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: humming\nVersion: 1\n")
    environment["PYTHONPATH"] = f"{tmp_path}:{environment.get('PYTHONPATH', '')}"
    said = tts("speak", "Hello there.", "--engine", "humming", "--pitch", "440", "-o", "x.wav", "--json")
    assert said.returncode == 0, said.stderr
    sound, rate = soundfile.read(tmp_path / "x.wav")
    assert rate == 16_000
    assert np.abs(np.fft.rfft(sound)).argmax() * rate / len(sound) == pytest.approx(440, abs=2)
    assert b"A tone for every sentence." in tts("engines").stdout
    refused = tts("speak", "Hello.", "--engine", "builtin", "--pitch", "440", "-o", "y.wav")
    assert refused.returncode == 2
    assert b"choose --engine humming" in refused.stderr
    assert b"--pitch" in tts("speak", "--pitch", "1", "Hello.", "-o", "y.wav").stderr


def test_exit_codes_are_documented() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", prose("README.md"), re.MULTILINE)}
    raised = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TTSError)
    }
    assert codes == {0, *(128 + number for number in signals.SIGNALS)} | raised


def prose(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public functions and methods of a module, without functions inside functions."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.ClassDef) and not each.name.startswith("_"):
            yield from functions(each)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_"):
            yield each


def test_functions_with_three_parameters_or_more_describe_them() -> None:
    described = re.compile(r"^Parameters\n-|See `|[Pp]arameters and|parameters are those", re.MULTILINE)
    commands = {ROOT / "tts_cli" / "cli" / f"{name}.py" for name in SUMMARIES}  # their options have help
    undescribed = [
        f"{file.relative_to(ROOT)}: {function.name}"
        for file in sorted((ROOT / "tts_cli").rglob("*.py"))
        if file not in commands
        for function in functions(ast.parse(file.read_text(encoding="utf-8")))
        if sum(each.arg not in ("self", "cls") for each in (*function.args.args, *function.args.kwonlyargs)) >= 3
        and not described.search(ast.get_docstring(function) or "")
    ]
    assert undescribed == []


def test_every_place_that_lists_sound_formats_lists_all() -> None:
    lists = [
        (ROOT / "docs" / "python.md").read_text(encoding="utf-8"),
        tts_cli.speak.__doc__ or "",
        *re.findall(r"--output <str> +Write a (.*?) file", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")),
    ]
    assert len(lists) >= 4
    assert [[suffix for suffix in FORMATS if suffix not in text] for text in lists] == [[]] * len(lists)
