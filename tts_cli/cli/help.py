"""How `--help` looks: plain text in sections, as wide as the terminal but at most 100 columns.

Typer's own look is drawn with Rich, whose import takes longer than everything else that `tts --help` does.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from textwrap import TextWrapper
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

WIDEST: Final = 100  # longer lines are hard to read
NARROWEST: Final = 30
NAMES: Final = 30  # the columns for the names of options and commands, where the terminal is wide enough

Row = tuple[str, str]


class Help:
    """What a command and a group have in common: how they print their help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help: usage, text, and a section for each panel of options."""
        formatter.write(page(self, ctx, shutil.get_terminal_size().columns))


class Command(Help, TyperCommand):
    """A command with plain help."""


class Group(Help, TyperGroup):
    """A group of commands with plain help, which it prints when no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help and exit with 2 where there are no arguments."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit(2)
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """Commands as Typer takes them, with plain help."""

    def __init__(self, cls: type[Group] = Group, **settings: Any) -> None:
        super().__init__(cls=cls, rich_markup_mode=None, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Decorate a function that becomes a command."""
        return super().command(name, cls=Command, **settings)


def page(command: Any, context: Any, columns: int) -> str:
    """The help of a command.

    Parameters
    ----------
    command
        A command or a group of Typer.
    context
        Its context.
    columns
        The width of the terminal.

    Returns
    -------
    str
        Lines, the last of which ends with a newline.
    """
    width = max(NARROWEST, min(columns, WIDEST))
    usage = " ".join([f"Usage: {context.command_path}", *command.collect_usage_pieces(context)])
    parts = [_wrapped(usage, width, "", " " * 7), *_paragraphs(command.help or "", width)]
    for title, rows in _sections(command, context):
        parts.append("\n".join([_heading(title), *_columns(rows, width)]))
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str, width: int) -> Iterator[str]:
    """The paragraphs of a docstring, with their lines as they stand where these begin with spaces."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines: list[str] = []
        for line in paragraph.splitlines():
            if lines and not line.startswith(" "):
                lines[-1] += f" {line}"
            else:
                lines.append(line)
        yield "\n".join(_wrapped(line, width, "  ", "    " if line.startswith(" ") else "  ") for line in lines)


def _sections(command: Any, context: Any) -> Iterator[tuple[str, list[Row]]]:
    """Each section's title and rows: arguments, options, the panels in the order of their first option, commands."""
    found: dict[str, list[Row]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(context):
        row = parameter.get_help_record(context)
        if row is not None:
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            found.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(row)
    if isinstance(command, TyperGroup):
        found["Commands"] = [
            (name, " ".join((known.help or "").partition("\n\n")[0].split()))
            for name in command.list_commands(context)
            if (known := command.get_command(context, name)) is not None and not known.hidden
        ]
    yield from ((title, rows) for title, rows in found.items() if rows)


def _columns(rows: Iterable[Row], width: int) -> Iterator[str]:
    """Names and what they mean, in two columns. A name that is too long has a line of its own."""
    rows = list(rows)
    first = min(max(len(name) for name, _ in rows), NAMES, width * 3 // 8)
    for name, meaning in rows:
        indent = " " * (first + 4)
        begin = f"  {name:{first}}  "
        if len(name) > first:
            yield _wrapped(name, width, "  ", "    ")
            begin = indent
        if meaning or begin.strip():
            yield _wrapped(meaning, width, begin, indent).rstrip()


def _heading(title: str) -> str:
    """A title, bold in a terminal that can show it. Typer takes the bold away where the help does not go to one."""
    return f"{title}:" if os.environ.get("TERM") == "dumb" else typer.style(f"{title}:", bold=True)


def _wrapped(text: str, width: int, first: str, rest: str) -> str:
    """Text in lines of a width, parted at spaces: the names of options contain hyphens."""
    wrapper = TextWrapper(width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return "\n".join(wrapper.wrap(text)) or first
