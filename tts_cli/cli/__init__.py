"""The command line: arguments come in; results, messages and an exit code go out.

Each command has a module of its own, and `commands` lists them. `run` turns errors into messages and exit codes;
nothing else does. Modules outside use `run`, and scripts use `app`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tts_cli import __version__, signals
from tts_cli.cli.commands import Commands
from tts_cli.cli.help import App
from tts_cli.cli.streams import discard_results, own_streams
from tts_cli.errors import TTSError
from tts_cli.memory import share_arenas
from tts_cli.printable import on_one_line

app = App(
    name="tts",
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tts {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Speak text live, while the speech is still being computed."""
    del version


def run() -> int:
    """Run the command line and return the exit code. An error is printed on standard error in one line."""
    share_arenas()
    own_streams()
    signals.start()
    try:
        code = _code()
    except KeyboardInterrupt:
        code = signals.exit_code()
    signals.ignore()
    if code:
        discard_results()
        if signals.came():  # a library may have chosen another code: Typer returns 130 for every signal
            return signals.exit_code()
    return code


def _code() -> int:
    """Run the command line, with errors turned into exit codes."""
    try:
        code = app(standalone_mode=False, prog_name="tts")
        if not code:
            sys.stdout.flush()
    except TTSError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:  # the reader of our output is gone, so nobody wants a message
        return 1
    except OSError as error:
        if signals.came():
            return signals.exit_code()
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}; choose another place", 1)
    except Exception as error:
        # Usage errors are Click's. Newer versions of Typer contain their own Click, so the class cannot be tested.
        if hasattr(error, "format_message"):
            message = error.format_message().rstrip(".")
            command = getattr(getattr(error, "ctx", None), "command_path", "tts")
            see = f"see: {command} --help"
            if command == "tts speak" and hasattr(error, "possibilities"):  # an unknown option
                see += f', or for text that begins with "-": {command} -- TEXT'
            return _fail(f"{message}; {see}", 2) if message else 2
        if signals.came():  # a library that is being loaded may turn Ctrl-C into an error of its own
            return signals.exit_code()
        raise
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    print(f"tts: {on_one_line(message)}", file=sys.stderr)  # noqa: T201  errors are printed here only
    return code
