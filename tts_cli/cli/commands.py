"""The list of commands. A command is imported when it runs or when its own help is printed, and not for the list."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer

from tts_cli.cli.help import App, Command, Group

# The first line of each command's help. A command is a function of the same name in the module of that name, or all
# of that module's `app`.
SUMMARIES = {
    "speak": "Speak text: from the argument, a file, a pipe, or line by line from the terminal.",
    "devices": "List the audio outputs; --output-device takes a number or a part of a name.",
    "engines": "List the engines, and whether they can speak here; --engine takes their names.",
    "doctor": "Check whether tts can speak on this machine; each line is ✓ or says what to do.",
    "bench": "Measure speaking in a warm process: nothing is played.",
    "tune": "Find out which way of computing is fast enough on this machine, for auto; takes 10 to 20 s.",
    "serve": "Load an engine once and let programs on this machine speak with it, over WebSockets and HTTP.",
    "server": "Show and end the processes that tts speak --keep-warm keeps.",
    "client": "Speak through the WebSocket of a server, and show what it and this client have measured.",
    "voice": "Make, record, try, list, show, move and remove voices.",
    "config": "Show and edit the settings of tts speak.",
    "model": "Download the weights of Chatterbox, and show where they are.",
}


class Commands(Group):
    """The group of all commands. Listing them imports none of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: Command(name, help=summary) for name, summary in SUMMARIES.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  Click's own signature
        """Import a command. None if there is none of this name."""
        if cmd_name not in self.commands:
            return None
        module = import_module(f"tts_cli.cli.{cmd_name}")
        if group := getattr(module, "app", None):
            return typer.main.get_group(group)
        alone = App(add_completion=False)
        alone.command(cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(alone)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help of the whole program from the summaries."""
        self._listed().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete the names of commands and options, without an import of the commands."""
        return self._listed().shell_complete(ctx, incomplete)

    def _listed(self) -> Group:
        return Group(
            name=self.name,
            commands=list(self.commands.values()),
            params=self.params,
            help=self.help,
        )
