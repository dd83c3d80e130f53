"""Settings of `tts speak`: what they may be, what they yield to, and what is said about those that are wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Run, complaint
from tts_cli.cli.defaults import arguments
from tts_cli.cli.options import settings_for
from tts_cli.cli.settings import Settings
from tts_cli.cli.speak import speak
from tts_cli.config import LARGEST, read
from tts_cli.errors import UsageError

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def configured(tts: Run, environment: dict[str, str], tmp_path: Path, write: Write) -> Run:
    def run(*words: str, text: str, **variables: str) -> Any:
        write(text)
        return tts(*words, env=environment | {"TTS_CONFIG_DIR": str(tmp_path)} | variables)

    return run


def settings(file: Path) -> Settings:
    return settings_for(speak, read(file))


def milliseconds(configured: Run, text: str, *words: str) -> float:
    result = configured("speak", "Hello, world.", "-o", "x.wav", "--json", "-q", *words, text=text)
    assert (result.returncode, result.stderr) == (0, b"")
    return float(json.loads(result.stdout)["audio_ms"])


def test_the_command_line_comes_before_the_voice_the_engine_and_the_rest(configured: Run) -> None:
    tables = ("speed = 0.6\n", "[engines.builtin]\nspeed = 0.9\n", "[voices.heart]\nspeed = 1.4\n")
    lengths = [milliseconds(configured, "".join(tables[:number])) for number in range(4)]
    default, common, engine, voice = lengths
    assert common > engine > default > voice
    assert milliseconds(configured, "".join(tables), "--speed", "1") == default


def test_options_of_the_command_itself_come_from_the_file(configured: Run, tmp_path: Path) -> None:
    result = configured("speak", "Hello.", text='output = "y.wav"\nquiet = true\njson = true\nengine = "builtin"\n')
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout)["output"] == "y.wav"
    assert (tmp_path / "y.wav").is_file()


def test_a_voice_chooses_its_engine_and_yields_to_an_engine_that_lacks_it(tiny: Path, write: Write) -> None:
    from tts_cli.cli.defaults import chosen

    weights = f"[engines.chatterbox]\nmodel-dir = {json.dumps(str(tiny))}\n"
    here = settings(write(f'voice = "heart"\n{weights}'))
    assert chosen(here, "auto", None, {})[0].name == "builtin"
    spec, voice, loading, _, _ = chosen(here, "chatterbox", None, {})
    assert (spec.name, voice) == ("chatterbox", None)
    assert getattr(loading, "model_dir") == tiny  # noqa: B009  only Chatterbox's settings have it
    assert chosen(here, "auto", None, {"precision": "fp32"})[:2] == (spec, None)
    assert chosen(settings(write(weights)), "auto", None, {})[0] is spec
    assert chosen(settings(write(f'{weights}voice = "default"\n')), "auto", None, {})[1] == "default"


def test_an_engine_yields_to_what_the_command_line_asks_for(write: Write) -> None:
    here = settings(write('engine = "builtin"\n'))
    assert arguments(here, {}, {})["engine"] == "builtin"
    assert arguments(here, {"engine": "auto"}, {}) == {}
    assert arguments(here, {}, {"precision": "fp32"})["engine"] == "auto"
    assert arguments(here, {"voice": "qb"}, {})["engine"] == "auto"
    assert arguments(here, {"voice": "heart"}, {})["engine"] == "builtin"


@pytest.mark.parametrize(
    ("text", "by_user", "rest"),
    [
        ('output-device = "x"', {"output": "a.wav"}, {}),
        ('output-device = "x"', {"output": "a.wav", "play": True}, {"output_device": "x"}),
        ("play = true", {}, {}),
        ("play = true", {"output": "a.wav"}, {"play": True}),
        ("raw = true", {"output": "a.wav"}, {}),
        ("raw = true\njson = true", {"output": "-"}, {"raw": True}),
        ("no-clobber = true", {}, {}),
        ("no-clobber = true", {"output": "a.wav"}, {"no_clobber": True}),
        ('output = "a.wav"', {"output_device": "x"}, {}),
        ('output = "a.wav"', {"fallback": "b.wav"}, {}),
        ('file = "/a.txt"', {"text": "Hello."}, {}),
        ('file = "/a.txt"', {}, {"file": Path("/a.txt")}),
    ],
)
def test_a_value_that_does_not_fit_what_is_asked_for_is_left_out(
    write: Write, text: str, by_user: dict[str, object], rest: dict[str, object]
) -> None:
    assert arguments(settings(write(text)), by_user, {}) == rest


def test_the_environment_comes_before_the_file(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = write('model-dir = "weights"\nvoices-dir = "~/voices"\n')
    monkeypatch.setenv("TTS_MODEL_DIR", "/elsewhere")
    monkeypatch.delenv("TTS_VOICES_DIR", raising=False)
    assert settings(file).common == {"voices_dir": Path("~/voices").expanduser()}
    monkeypatch.delenv("TTS_MODEL_DIR")
    assert settings(file).common["model_dir"] == tmp_path / "weights"


def test_keys_that_mean_nothing_are_named_with_the_nearest_and_the_rest_holds(configured: Run) -> None:
    text = "chunck = 3\n\x7f = 1\n".replace("\x7f", '"\\u001b[31m"')
    text += "[engines.builtn]\n[engines.builtin]\nprecison = 1\n[voices.heart]\nvoice = 1\n"
    result = configured("speak", "Hello.", "-o", "x.wav", text=text)
    assert result.returncode == 0
    lines = [line.partition("config.toml")[2] for line in result.stderr.decode().splitlines()[:5]]
    assert lines == [
        ', line 1: there is no option "chunck"; did you mean "chunk"?',
        r': there is no option "\x1b[31m"',
        ', line 3: there is no engine "builtn"; did you mean "builtin"?',
        ', line 5: there is no option "precison" in [engines.builtin]',
        ', line 7: there is no option "voice" in [voices.heart]; did you mean "device"?',
    ]
    assert configured("speak", "Hello.", "-o", "x.wav", "--quiet", text=text).stderr == b""


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("chunk = true", 1, "chunk cannot be True; choose a number, or text in quotes"),
        ('\nchunk = "many"', 2, "chunk many means nothing; choose auto, or a number from 1 to 1000"),
        ('speed = "1"', 1, "speed cannot be '1'; choose a number from 0.5 to 2"),
        ("speed = 9", 1, "speed cannot be 9; choose a number from 0.5 to 2"),
        ("idle-flush = 1.5", 1, "idle-flush cannot be 1.5; choose a whole number"),
        ('format = "html"', 1, "format cannot be 'html'; choose one of: auto, plain, markdown"),
        ("voice = 3", 1, "voice cannot be 3; choose text in quotes"),
        ("file = 3", 1, "file cannot be 3; choose a path in quotes"),
        ("quiet = 0", 1, "quiet cannot be 0; choose true or false"),
        ('engine = "nobody"', 1, "there is no engine called 'nobody'"),
        ("[engines.builtin]\nseed = -1", 2, "seed cannot be -1; choose a whole number, 0 or more"),
        ("voices = 1", 1, "voices is not a table"),
        ("[engines]\nbuiltin = 1", 2, "engines.builtin is not a table"),
        ("engines.builtin.seed = [\n1,\n]", 1, "seed cannot be [1]"),
        ("a = 1\nb = = 2", 2, "this is not TOML: Invalid value"),
        ("a = 1\nb = [", 2, "this is not TOML"),
        ("seed = " + "9" * 5000, 1, "this is not TOML"),
        ("a = 1\na = 2", 2, "this is not TOML: Cannot overwrite a value"),
        ("a = " + "[" * 5000, None, "this is not TOML: it is nested too deeply"),
        ("#" * LARGEST + "#", None, "is larger than 65536 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_has_its_line(write: Write, text: str, line: int | None, why: str) -> None:
    file = write(text)
    with pytest.raises(UsageError) as caught:
        settings(file)
    said = str(caught.value)
    assert said.startswith(str(file) if line is None else f"{file}, line {line}: ")
    assert why in said


def test_a_wrong_file_is_one_line_and_ends_the_command(configured: Run, environment: dict[str, str]) -> None:
    result = configured("speak", "Hello.", "-o", "x.wav", text="chunk = 0\n")
    assert result.returncode == 2
    assert "config.toml, line 1: chunk" in complaint(result)
    assert configured("config", "show", text="chunk = \n").returncode == 2
    assert configured("speak", "--help", text="chunk = \n").returncode == 0


def test_a_file_that_is_not_utf_8_or_no_file_is_refused(write: Write, tmp_path: Path) -> None:
    file = write("")
    file.write_bytes(b'voice = "heart"\nvoice = "\xff"\n')
    with pytest.raises(UsageError, match=r"line 2: this is not TOML: it is not UTF-8"):
        settings(file)
    with pytest.raises(UsageError, match="cannot read"):
        settings(tmp_path)
    assert settings(tmp_path / "none" / "config.toml").own == {}


def test_path_and_show_say_where_each_value_comes_from(configured: Run, tmp_path: Path) -> None:
    text = 'seed = 7\n[engines.builtin]\nspeed = 1.5\n[voices."a\\u001bb"]\nspeed = 1\n'
    assert configured("config", "path", text=text).stdout == os.fsencode(tmp_path / "config.toml") + b"\n"
    shown = configured("config", "show", text=text, TTS_MODEL_DIR="/weights").stdout.decode()
    rows = {row[0]: row[1:] for row in map(str.split, shown.splitlines())}
    file = "config.toml,"
    assert rows["seed"] == ["7", file, "line", "1"]
    assert rows["engines.builtin.speed"] == ["1.5", file, "line", "3"]
    assert rows["model-dir"] == ["/weights", "TTS_MODEL_DIR"]
    assert rows["chunk"] == ['"auto"', "default"]
    assert rows[r"voices.a\x1bb.speed"][0] == "1"


def test_edit_makes_a_file_in_which_every_option_can_be_uncommented(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    here = environment | {"TTS_CONFIG_DIR": str(tmp_path / "new")}
    assert tts("config", "edit", env=here | {"VISUAL": "true"}).returncode == 0
    file = tmp_path / "new" / "config.toml"
    assert settings(file) == settings(tmp_path / "none.toml")
    lines = [line.removeprefix("# ") for line in file.read_text().splitlines()]
    file.write_text("\n".join(line if " = " in line and '""' not in line else f"# {line}" for line in lines))
    uncommented = settings(file)
    assert {"engine", "format", "idle_flush"} <= uncommented.own.keys()
    assert {"chunk", "pause", "precision", "top_k"} <= uncommented.common.keys()
    assert uncommented.unknown == ()
    (tmp_path / "wreck").write_text('#!/bin/sh\necho "chunk = true" > "$1"\n')
    (tmp_path / "wreck").chmod(0o755)
    result = tts("config", "edit", env=here | {"EDITOR": str(tmp_path / "wreck")})
    assert result.returncode == 2
    assert "line 1: chunk" in complaint(result)


@pytest.mark.parametrize(
    ("editor", "code", "why"),
    [
        ("", 3, "no editor is named"),
        ("no-such-editor", 3, "cannot run"),
        ("false", 1, "ended with 1"),
        ("'", 2, "no command"),
    ],
)
def test_an_editor_that_cannot_be_used(
    tts: Run, environment: dict[str, str], tmp_path: Path, editor: str, code: int, why: str
) -> None:
    variables = {"TTS_CONFIG_DIR": str(tmp_path), "VISUAL": "", "EDITOR": editor}
    result = tts("config", "edit", env=environment | variables)
    assert result.returncode == code
    assert why in complaint(result)
