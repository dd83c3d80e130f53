"""What `--help` shows, how it fits the terminal, and what it does not import."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.main import get_command

import tts_cli
from tests.harness import ROOT, TTS
from tests.terminal import terminal
from tts_cli.cli import app
from tts_cli.cli.help import NARROWEST, WIDEST, Group, page
from tts_cli.playback.file import FORMATS


def _contexts(command: Any, context: Any) -> Iterator[Any]:
    yield context
    if isinstance(command, Group):
        for name in command.list_commands(context):
            known: Any = command.get_command(context, name)
            yield from _contexts(known, known.context_class(known, info_name=name, parent=context))


GROUP: Any = get_command(app)
CONTEXTS = list(_contexts(GROUP, GROUP.context_class(GROUP, info_name="tts", **GROUP.context_settings)))


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.command_path)
@settings(max_examples=25)
@given(columns=st.integers(1, 250))
def test_the_help_of_every_command_fits_the_terminal_and_loses_nothing(context: Any, columns: int) -> None:
    whole = page(context.command, context, WIDEST)
    shown = page(context.command, context, columns)
    assert max(map(len, _plain(shown).splitlines())) <= max(NARROWEST, min(columns, WIDEST))
    assert "".join(shown.split()) == "".join(whole.split())
    for parameter in context.command.get_params(context):
        for name in (*parameter.opts, *parameter.secondary_opts):
            assert name.lower() in shown.lower(), "a name of an option is broken"


def test_options_stand_in_the_sections_of_their_engines(environment: dict[str, str]) -> None:
    text = _help(environment, "speak")
    sections = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert sections == ["Arguments", "Options", "Chatterbox", "Remote"]
    before, _, after = text.partition("\nChatterbox:\n")
    assert "--idle-flush" in before
    assert "--help" in before
    assert "--strategy" in after.partition("\nRemote:\n")[0]
    assert "--server-model" in after.partition("\nRemote:\n")[2]


def test_examples_stand_in_lines_of_their_own(environment: dict[str, str]) -> None:
    assert '\n  Examples:\n    tts speak "Hello, world."\n    llm ' in _help(environment, "speak")


@pytest.mark.parametrize(
    "place",
    [("speak",), ("voice", "try"), Path("docs/python.md"), tts_cli.speak],
    ids=["speak", "voice try", "python.md", "api"],
)
def test_every_sound_format_is_named(environment: dict[str, str], place: Any) -> None:
    if isinstance(place, Path):
        text = (ROOT / place).read_text(encoding="utf-8")
    else:
        text = place.__doc__ if callable(place) else _help(environment, *place)
    assert set(FORMATS) <= set(re.findall(r"\.\w+", text))


@pytest.mark.parametrize("words", [(), ("voice",)], ids=["tts", "tts voice"])
def test_a_group_without_a_command_prints_its_help(environment: dict[str, str], words: tuple[str, ...]) -> None:
    done = subprocess.run([*TTS, *words], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == _help(environment, *words)


def test_titles_are_bold_in_a_terminal_that_can_show_it(environment: dict[str, str], tmp_path: Path) -> None:
    screens = {}
    for kind in ("xterm", "dumb"):
        with terminal("--help", environment=environment | {"TERM": kind}, folder=tmp_path) as shown:
            assert shown.end() == 0
        screens[kind] = shown.screen
    assert "\n\x1b[1mCommands:\x1b[0m\r" in screens["xterm"]
    assert "\nCommands:\r" in screens["dumb"]
    assert "\x1b" not in _help(environment | {"TERM": "xterm"})


def test_the_help_of_the_whole_program_imports_nothing_but_typer(environment: dict[str, str]) -> None:
    assert _imported(environment, "--help") <= {"tts_cli", "typer", "click", "shellingham"}


def test_the_help_of_a_command_imports_neither_engines_nor_what_draws(environment: dict[str, str]) -> None:
    loaded = _imported(environment, "speak", "--help")
    assert "tts_cli" in loaded
    assert not loaded & {"rich", "markdown_it", "pygments", "numpy", "torch", "sounddevice", "onnxruntime", "hibari"}


def test_the_list_of_commands_imports_none_of_them(environment: dict[str, str]) -> None:
    assert not _imported(environment, "--help", parts=2) & {"tts_cli.engines", "tts_cli.text"}


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def _help(environment: dict[str, str], *words: str) -> str:
    return subprocess.run([*TTS, *words, "--help"], env=environment, capture_output=True, text=True, check=True).stdout


def _imported(environment: dict[str, str], *words: str, parts: int = 1) -> set[str]:
    """What `tts` imports, but for Python's own modules and those that `import typer` imports: names to this depth."""
    code = f"""
import sys, typer
before = set(sys.modules)
from tts_cli.cli import run
sys.argv[1:] = {list(words)!r}
run()
print("imported:", *(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()[-1].split()
    assert names[0] == "imported:"
    return {
        ".".join(name.split(".")[:parts]) for name in names[1:] if name.split(".")[0] not in sys.stdlib_module_names
    }
