"""The command line: parse, call, print. The only place where errors become exit codes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer

from tts_cli import __version__
from tts_cli.cli import bench, devices, model, speak, voice
from tts_cli.cli.streams import discard_results, own_streams
from tts_cli.errors import INTERRUPTED, TTSError
from tts_cli.shown import on_one_line

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH_SECONDS: Final = 5.0
"""A terminal that is closed sends SIGHUP twice (the system, then the shell), and service managers send SIGTERM and
SIGHUP together: within this time they mean one thing. A second Ctrl-C means more."""

app = typer.Typer(
    name="tts",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("speak")(speak.speak)
app.add_typer(voice.app, name="voice")
app.add_typer(model.app, name="model")
app.command("devices")(devices.devices)
app.command("bench")(bench.bench)


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


def run() -> NoReturn:
    """Run the command line: results on stdout, one line on stderr for an error, and its exit code."""
    own_streams()
    interrupted = _on_signals()
    try:
        code = _code(interrupted)
    except KeyboardInterrupt:
        code = INTERRUPTED
    for number in SIGNALS:  # it is over: whoever hurries Python's own end gets a traceback of it, and no sooner end
        signal.signal(number, signal.SIG_IGN)
    if code:
        discard_results()
    sys.exit(code)


def _code(interrupted: Callable[[], bool]) -> int:
    """Run the command line and say how it ended: the exit code."""
    try:
        code = app(standalone_mode=False, prog_name="tts")
        if not code:
            sys.stdout.flush()
    except TTSError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:  # our reader has gone, and with it whoever wanted a message
        return 1
    except Exception as error:
        # Usage errors are Click's, and Typer brings a Click of its own in newer versions: known by what they can do.
        if hasattr(error, "format_message"):
            message = error.format_message().rstrip(".")
            command = getattr(getattr(error, "ctx", None), "command_path", "tts")
            see = f"see: {command} --help"
            if command == "tts speak" and hasattr(error, "possibilities"):  # an option that there is not
                see += f', or for text that begins with "-": {command} -- TEXT'
            return _fail(f"{message}; {see}", 2) if message else 2
        if interrupted():  # a library that was just being loaded makes an error of its own of Ctrl-C
            return INTERRUPTED
        raise
    return code if isinstance(code, int) else 0


def _on_signals() -> Callable[[], bool]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise `KeyboardInterrupt`; whether one of them has come.

    One that we were started deaf to stays ignored: SIGINT in a background job, SIGHUP after nohup.
    """
    latest: float | None = None

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal latest
        again = latest is not None and time.monotonic() - latest < ONE_WISH_SECONDS
        latest = time.monotonic()
        if not again or number == signal.SIGINT:
            raise KeyboardInterrupt

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    return lambda: latest is not None


def _fail(message: str, code: int) -> int:
    print(f"tts: {on_one_line(message)}", file=sys.stderr)  # noqa: T201  the one place that does
    return code
