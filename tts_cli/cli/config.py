"""The commands `tts config`: show the user's settings, say where they come from, and edit them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from tts_cli.cli.help import App
from tts_cli.cli.streams import print_path
from tts_cli.printable import harmless

app = App(help="Show and edit the settings of tts speak.")

if TYPE_CHECKING:
    from tts_cli.config import Config

HEAD = """\
# Settings of `tts speak`. Take away the # before a line to use it.
# Options of one engine stand below [engines.NAME], those for one voice below [voices.NAME].

"""


@app.command("path")
def path() -> None:
    """Print where the file with the settings is, whether it is there or not."""
    from tts_cli.config import place

    print_path(place())


@app.command("show")
def show() -> None:
    """Print the value of each option of tts speak, and where it comes from."""
    from rich.console import Console
    from rich.table import Table

    from tts_cli.cli.options import settings_for
    from tts_cli.cli.settings import options_of
    from tts_cli.cli.speak import speak
    from tts_cli.config import read

    config = read()
    settings = settings_for(speak, config)
    table = Table("Option", box=None)
    table.add_column("Value", overflow="fold")
    table.add_column("From", overflow="fold")
    for name, known in options_of(speak).items():
        table.add_row(*map(harmless, (name.replace("_", "-"), *_value_and_source(config, name, known.default))))
    for kind in ("engines", "voices"):
        for title, values in config.values.get(kind, {}).items():
            for key, value in values.items() if isinstance(values, dict) else ():
                words = (f"{kind}.{title}.{key}", _toml(value), _line(config, (kind, title, key)))
                table.add_row(*map(harmless, words))
    Console(markup=False).print(table)
    for line in settings.unknown:
        typer.echo(f"tts: {harmless(line)}", err=True)


@app.command("edit")
def edit() -> None:
    """Open the settings in the editor that VISUAL or EDITOR names, and check them afterwards."""
    from tts_cli.cli.options import settings_for
    from tts_cli.cli.speak import speak
    from tts_cli.config import place
    from tts_cli.errors import MissingError, OutputError, UsageError
    from tts_cli.paths import explained
    from tts_cli.replace import replacing

    file = place()
    try:
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    except ValueError as error:
        raise UsageError(f"VISUAL or EDITOR is no command: {error}", f"correct it, or edit {file}") from error
    if not editor:
        raise MissingError("no editor is named", f"set EDITOR, such as EDITOR=nano, or edit {file}")
    with explained("write", file, "let TTS_CONFIG_DIR name another folder", OutputError):
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            with replacing(file) as draft:
                draft.write(_template().encode())
    with explained("run", editor[0], "let EDITOR name another editor", MissingError):
        code = subprocess.run([*editor, str(file)], check=False).returncode
    if code:
        raise OutputError(f"{editor[0]} ended with {code}", f"edit {file} with another editor")
    for line in settings_for(speak).unknown:
        typer.echo(f"tts: {harmless(line)}", err=True)


def _value_and_source(config: Config, name: str, default: object) -> tuple[str, str]:
    from tts_cli.cli.options import variables

    variable = variables().get(name)
    if variable and (value := os.environ.get(variable)):
        return value, variable
    for key in (name, name.replace("_", "-")):
        if key in config.values:
            return _toml(config.values[key]), _line(config, [key])
    return "" if default is None else _toml(default), "default"


def _line(config: Config, keys: Sequence[str]) -> str:
    number = config.line(keys)
    return config.path.name if number is None else f"{config.path.name}, line {number}"


def _toml(value: object) -> str:
    """A value as TOML writes it. JSON has the same rules for text, numbers and truth."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _template() -> str:
    """A file in which every option stands as a comment, with its help and its default."""
    from tts_cli.cli.settings import options_of
    from tts_cli.cli.speak import speak

    parts = [HEAD]
    for name, known in options_of(speak).items():
        value = '""' if known.default is None else _toml(known.default)
        parts.append(f"# {known.help}\n# {name.replace('_', '-')} = {value}\n\n")
    return "".join(parts).rstrip() + "\n"
