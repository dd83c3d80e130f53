"""The command line: parse, call, print. The only place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tts_cli import __version__
from tts_cli.cli import bench, devices, model, speak, voice
from tts_cli.errors import INTERRUPTED, TTSError

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
    interrupted = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    _own_stderr()
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is for a job in the background
        signal.signal(signal.SIGINT, interrupt)
    try:
        code = app(standalone_mode=False, prog_name="tts")
    except TTSError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Our reader has gone, and with it whoever wanted a message. Python must not flush into the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        # Usage errors are Click's, and Typer brings a Click of its own in newer versions: known by what they can do.
        if hasattr(error, "format_message"):
            message = error.format_message().rstrip(".")
            command = getattr(getattr(error, "ctx", None), "command_path", "tts")
            code = _fail(f"{message}; see: {command} --help", 2) if message else 2
        elif interrupted:  # a library that was just being loaded makes an error of its own of Ctrl-C
            code = INTERRUPTED
        else:
            raise
    sys.exit(code if isinstance(code, int) else 0)


def _own_stderr() -> None:
    """Keep stderr to ourselves: ALSA, PortAudio and their kin print to file descriptor 2 from C, whatever we catch."""
    if sys.stderr is None:
        return
    sys.stderr.flush()
    own = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    vars(sys).update(stderr=own, __stderr__=own)  # Rich asks the latter for the terminal's size


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"tts: {line}", file=sys.stderr)  # noqa: T201  the one place that does
    return code
