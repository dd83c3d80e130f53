"""The command `tts speak`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts_cli.cli import completion
from tts_cli.cli.options import with_engine_options
from tts_cli.cli.settings import Settings
from tts_cli.cli.shared_options import OutputDevice
from tts_cli.cli.streams import is_open
from tts_cli.cli.warmth import loader
from tts_cli.engines.registry import AUTO
from tts_cli.errors import UsageError
from tts_cli.printable import on_one_line
from tts_cli.text.idle import ALL_SECONDS, IDLE_SECONDS, WORDS_SECONDS
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.reading import DEFAULT_CODE, DEFAULT_FORMAT, Format, Reading

if TYPE_CHECKING:
    from threading import Event

    from tts_cli.playback import Sink
    from tts_cli.text.sources import TextSource

IDLE_MS: Final = round(1000 * IDLE_SECONDS)

Text = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="What to say; - or no TEXT: standard input.", show_default=False),
]
TextFile = Annotated[Path | None, typer.Option("--file", "-f", help="Read the text from a file.", show_default=False)]
Voice = Annotated[
    str | None,
    typer.Option(
        help="Voice to speak with; `tts voice list` shows them.",
        show_default=False,
        autocompletion=completion.voices,
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        help="A name that `tts engines` lists, or an import string module:Class; auto prefers Chatterbox.",
        autocompletion=completion.engines,
    ),
]
IdleFlush = Annotated[
    int,
    typer.Option(
        min=0,
        max=3_600_000,
        metavar="MS",
        help="Speak complete sentences after so many milliseconds without new text, words after "
        f"{WORDS_SECONDS:g} s, and everything after {ALL_SECONDS:g} s; 0: always wait.",
    ),
]
TextFormat = Annotated[
    Format,
    typer.Option(
        help="What the text is written in; auto: Markdown in a .md or .markdown file, and of other text leave out only "
        "marks that cannot be anything else."
    ),
]
CodeBlocks = Annotated[
    Code,
    typer.Option(help="Of code blocks, say their language (announce), nothing (skip), or all (speak)."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Write a .wav, .flac, .mp3 or .ogg file; - is standard output.",
        show_default=False,
    ),
]
Subtitles = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write which sentence is heard when, as a .srt, .vtt, .json or .lrc file.",
        show_default=False,
    ),
]
NoClobber = Annotated[
    bool,
    typer.Option("--no-clobber", "-n", help="With -o, --subtitles or --fallback: do not replace an existing file."),
]
Raw = Annotated[
    bool, typer.Option("--raw", help="With -o -: 16-bit mono PCM at the engine's sample rate, without a WAV header.")
]
Play = Annotated[bool, typer.Option("--play", help="With -o: play the sound as well.")]
Fallback = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="If this machine has no audio output, write this file instead.",
        show_default=False,
    ),
]
KeepWarm = Annotated[
    str,
    typer.Option(
        metavar="TIME|off",
        envvar="TTS_KEEP_WARM",
        help="Keep the engine loaded in a process of its own until it has not been used for so long (90s, 10m, 2h); "
        "off: start none.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the measurements as one JSON object on standard output.")]
Strict = Annotated[bool, typer.Option("--strict", help="End at the first piece of text that cannot be spoken.")]
NoText = Annotated[bool, typer.Option("--no-text", help="Do not show the text that is heard.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No live display and no summary.")]


@with_engine_options(configured=True)
def speak(
    given: dict[str, object],
    settings: Settings,
    text: Text = None,
    file: TextFile = None,
    voice: Voice = None,
    engine: EngineName = AUTO,
    format: TextFormat = DEFAULT_FORMAT,
    code: CodeBlocks = DEFAULT_CODE,
    idle_flush: IdleFlush = IDLE_MS,
    output: Output = None,
    subtitles: Subtitles = None,
    no_clobber: NoClobber = False,
    raw: Raw = False,
    play: Play = False,
    output_device: OutputDevice = None,
    fallback: Fallback = None,
    keep_warm: KeepWarm = "off",
    strict: Strict = False,
    json: Json = False,
    no_text: NoText = False,
    quiet: Quiet = False,
) -> None:
    """Speak text: from the argument, a file, a pipe, or line by line from the terminal.

    Examples:
      tts speak "Hello, world."
      llm "Tell me a story" | tts speak
      tts speak -f article.md
      tts speak -f book.txt -o book.mp3
    """
    _check_options(text, file, output, subtitles, no_clobber, raw, play, output_device, fallback, json)
    for line in settings.unknown if not quiet else ():
        print(f"tts: {on_one_line(line)}", file=sys.stderr)  # noqa: T201

    from tts_cli.cli.live import Destination, speak_live

    speak_live(
        engine_name=engine,
        voice=voice,
        given=given,
        settings=settings,
        source=_source(text, file, idle_flush / 1000, Reading(format, code)),
        destination=Destination(
            lambda rate, cancelled: _sink(rate, output, not no_clobber, raw, play, output_device, cancelled),
            output,
            fallback,
            subtitles=subtitles,
            clobber=not no_clobber,
        ),
        strict=strict,
        json=json,
        quiet=quiet,
        text_shown=not no_text,
        keys=(output is None or play) and not _is_typed(text, file),
        load=loader(given, settings, keep_warm),
    )


def _is_typed(text: str | None, file: Path | None) -> bool:
    """Whether the text comes from the keyboard."""
    from_stdin = (str(file) == "-") if file is not None else text in (None, "-")
    return from_stdin and sys.stdin is not None and sys.stdin.isatty()


def _check_options(
    text: str | None,
    file: Path | None,
    output: str | None,
    subtitles: Path | None,
    no_clobber: bool,
    raw: bool,
    play: bool,
    output_device: str | None,
    fallback: Path | None,
    json: bool,
) -> None:
    if text is not None and file is not None:
        raise UsageError("there is a text and a file to read", "give one of them")
    if raw and output != "-":
        raise UsageError("--raw is for standard output", "add: -o -")
    if play and output is None:
        raise UsageError("--play adds sound to a file", "add -o FILE, or leave out --play")
    if output_device is not None and output is not None and not play:
        raise UsageError(
            "an output device plays nothing when sound goes to a file", "add --play, or leave out one of both"
        )
    if fallback is not None and output is not None:
        raise UsageError("--fallback is for playing", "leave out -o or --fallback")
    if subtitles is not None:
        from tts_cli.subtitles.target import check_subtitles

        check_subtitles(subtitles)
    if no_clobber:
        sound = fallback if output is None else None if output == "-" else Path(output)
        named = [path for path in (sound, subtitles) if path is not None]
        if not named:
            raise UsageError("--no-clobber is for a file", "give its name with -o, or leave out --no-clobber")
        from tts_cli.paths import check_place
        from tts_cli.playback.file import already_there

        for path in named:
            check_place(path)
            if path.is_file():
                raise already_there(path)
    if output == "-":
        if json:
            raise UsageError("--json and -o - both write to standard output", "choose one of them")
        if not is_open(1):
            raise UsageError("standard output is closed", "pipe it on: tts speak … -o - | player, or use -o FILE")
        if sys.stdout.isatty():
            raise UsageError("a terminal cannot show sound", "pipe it on: tts speak … -o - | player, or use -o FILE")


def _source(text: str | None, file: Path | None, idle: float, reading: Reading) -> TextSource:
    from tts_cli.text import sources as source

    if file is not None and str(file) != "-":
        return source.text_file(file, idle, reading)
    if text is not None and text != "-":
        return source.text_argument(text, reading)
    if not is_open(0):
        raise UsageError("standard input is closed", "give the text as an argument or with -f FILE")
    if _is_typed(text, file):
        print("Type a line and press Enter to hear it; Ctrl-D ends.", file=sys.stderr)  # noqa: T201
    return source.text_stdin(idle, reading)


def _sink(
    rate: int, output: str | None, clobber: bool, raw: bool, play: bool, device: str | None, cancelled: Event
) -> Sink:
    from tts_cli.playback import BothSinks
    from tts_cli.playback.file import FileSink
    from tts_cli.playback.opening import open_speaker
    from tts_cli.playback.outlet import Outlet
    from tts_cli.playback.stream import StreamSink, open_stream

    if output is None:
        return open_speaker(device, rate)
    target: Sink
    if output == "-":
        target = StreamSink(Outlet(1, "standard output"), rate, raw)
    else:
        target = open_stream(Path(output), rate, cancelled) or FileSink(Path(output), rate, clobber)
    if not play:
        return target
    try:
        return BothSinks(target, open_speaker(device, rate))
    except BaseException:
        target.close()
        raise
