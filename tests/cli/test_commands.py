"""The list of commands."""

from __future__ import annotations

from typer.core import TyperGroup
from typer.main import get_command

from tts_cli.cli import app
from tts_cli.cli.commands import SUMMARIES


def test_the_list_says_what_each_command_says_of_itself() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context("tts", [], resilient_parsing=True) as context:
        for name, summary in SUMMARIES.items():
            command = group.get_command(context, name)
            assert command is not None
            assert command.help is not None
            assert command.help.partition("\n")[0] == summary
