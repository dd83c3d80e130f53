"""`tts speak`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tts_cli.checks import read_whole
from tts_cli.cli.streams import is_open
from tts_cli.errors import UsageError

if TYPE_CHECKING:
    from threading import Event

    from tts_cli.sinks import Sink
    from tts_cli.source import TextSource

Text = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="What to say; - or nothing: standard input.", show_default=False),
]
TextFile = Annotated[Path | None, typer.Option("--file", "-f", help="Read the text from a file.", show_default=False)]
Voice = Annotated[
    str | None, typer.Option(help="Voice to speak with; `tts voice list` shows them.", show_default=False)
]
Chunk = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Speech tokens (40 ms of sound each) decoded at a time; "
        "auto: few at first, then as many as the sound in hand leaves time for.",
    ),
]
ModeName = Annotated[
    Literal["streaming", "simple"], typer.Option(help="simple computes everything before the first sound.")
]
EngineName = Annotated[
    str, typer.Option(help="auto, chatterbox, builtin, or an import string module:Class; auto prefers Chatterbox.")
]
Seed = Annotated[int, typer.Option(help="Fixes everything that is random.")]
Pause = Annotated[
    int,
    typer.Option(min=0, max=10_000, help="Milliseconds of silence after a sentence of heart, and between paragraphs."),
]
IdleFlush = Annotated[
    int,
    typer.Option(
        min=0,
        max=3_600_000,
        metavar="MS",
        help="Speak complete sentences after so many milliseconds without new text, words after 2 s, and the rest "
        "after 5 s; 0: wait for more.",
    ),
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
NoClobber = Annotated[
    bool, typer.Option("--no-clobber", "-n", help="With -o or --fallback: do not replace a file that is there.")
]
Raw = Annotated[bool, typer.Option("--raw", help="With -o -: 16-bit PCM, 24 kHz, mono, without a WAV header.")]
Play = Annotated[bool, typer.Option("--play", help="With -o: play the sound as well.")]
OutputDevice = Annotated[
    str | None,
    typer.Option(metavar="NAME|N", help="Audio output; `tts devices` lists them.", show_default=False),
]
Fallback = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where this machine has no audio output, write this file instead.",
        show_default=False,
    ),
]
VoicesDir = Annotated[
    Path | None,
    typer.Option("--voices-dir", envvar="TTS_VOICES_DIR", help="Folder of cached voices.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print the measurements as one JSON object on standard output.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="End at the first piece of text that cannot be spoken, not after the rest.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No live display and no summary.")]

_PANEL = "Chatterbox"
ModelName = Annotated[Literal["turbo", "nano"], typer.Option("--model", help="Which model.", rich_help_panel=_PANEL)]
ModelDir = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the weights; also TTS_MODEL_DIR.", show_default=False, rich_help_panel=_PANEL),
]
ComputeDevice = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], typer.Option("--device", help="Where to compute.", rich_help_panel=_PANEL)
]
StrategyName = Annotated[
    Literal["auto", "independent", "overlap", "context", "cached"],
    typer.Option(
        "--strategy",
        help="How chunks are decoded; auto: cached on a CPU, context elsewhere. See docs/experiments.md.",
        rich_help_panel=_PANEL,
    ),
]
PrecisionName = Annotated[
    Literal["auto", "fp32", "bf16", "int8", "int4"],
    typer.Option(
        "--precision", help="Numbers that networks compute with; auto: the fastest here.", rich_help_panel=_PANEL
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="Threads to compute with; else one a core.", show_default=False, rich_help_panel=_PANEL
    ),
]
PromptSeconds = Annotated[
    float | None,
    typer.Option(
        min=0.04,
        max=10,
        help="Use less of the voice's 10 s reference: faster, less alike.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Parallel = Annotated[bool, typer.Option(help="Draw tokens while a chunk is decoded.", rich_help_panel=_PANEL)]
Temperature = Annotated[
    float, typer.Option(min=0, max=10, help="Of the token sampler; 0 is greedy.", rich_help_panel=_PANEL)
]
TopP = Annotated[
    float,
    typer.Option(min=0.01, max=1, help="Sample from the likeliest tokens of this share.", rich_help_panel=_PANEL),
]
TopK = Annotated[
    int, typer.Option(min=0, help="Sample from so many of the likeliest tokens; 0: all.", rich_help_panel=_PANEL)
]
Repetition = Annotated[
    float, typer.Option(min=0.1, max=10, help="Above 1: avoid tokens that were drawn.", rich_help_panel=_PANEL)
]
Guard = Annotated[bool, typer.Option(help="End speech that outgrows its text or stays silent.", rich_help_panel=_PANEL)]
Watermark = Annotated[bool, typer.Option(help="Mark the sound as synthetic (Perth).", rich_help_panel=_PANEL)]


def speak(
    text: Text = None,
    file: TextFile = None,
    voice: Voice = None,
    chunk: Chunk = "10",
    mode: ModeName = "streaming",
    engine: EngineName = "auto",
    seed: Seed = 0,
    pause: Pause = 350,
    idle_flush: IdleFlush = 700,
    output: Output = None,
    no_clobber: NoClobber = False,
    raw: Raw = False,
    play: Play = False,
    output_device: OutputDevice = None,
    fallback: Fallback = None,
    voices_dir: VoicesDir = None,
    strict: Strict = False,
    json: Json = False,
    quiet: Quiet = False,
    model: ModelName = "turbo",
    model_dir: ModelDir = None,
    device: ComputeDevice = "auto",
    strategy: StrategyName = "auto",
    precision: PrecisionName = "auto",
    threads: Threads = None,
    prompt_seconds: PromptSeconds = None,
    parallel: Parallel = True,
    temperature: Temperature = 0.8,
    top_p: TopP = 0.95,
    top_k: TopK = 1000,
    repetition_penalty: Repetition = 1.2,
    guard: Guard = True,
    watermark: Watermark = True,
) -> None:
    """Speak text: from the argument, a file, a pipe, or line by line from the terminal.

    Examples: tts speak "Hello, world." · llm "Tell me a story" | tts speak · tts speak -f book.txt -o book.mp3
    """
    _check_options(text, file, output, no_clobber, raw, play, output_device, fallback, json)

    from tts_cli.cli.live import Destination, speak_live
    from tts_cli.engines import EngineSettings, SpeakOptions

    source = _source(text, file, idle_flush / 1000)
    speak_live(
        engine_name=engine,
        settings=EngineSettings(voices_dir, model, model_dir, device, watermark, precision, threads, prompt_seconds),
        voice=voice,
        options=SpeakOptions(
            chunk=chunk_tokens(chunk),
            mode=mode,
            seed=seed,
            pause=pause / 1000,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            guard=guard,
            strategy=strategy,
            strict=strict,
            parallel=parallel,
        ),
        source=source,
        destination=Destination(
            lambda cancelled: _sink(output, not no_clobber, raw, play, output_device, cancelled),
            output,
            fallback,
            clobber=not no_clobber,
        ),
        json=json,
        quiet=quiet,
    )


def chunk_tokens(value: str) -> int | None:
    """What `--chunk` means: None for `auto`, else a number that `SpeakOptions` takes."""
    from tts_cli.engines import MAX_CHUNK

    if value == "auto":
        return None
    number = read_whole(value)
    if number is None or not 1 <= number <= MAX_CHUNK:
        shown = value if len(value) <= 20 else f"{value[:20]}…"
        raise UsageError(f"--chunk {shown} means nothing", f"choose auto, or a number from 1 to {MAX_CHUNK}")
    return number


def _check_options(
    text: str | None,
    file: Path | None,
    output: str | None,
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
    if no_clobber:
        named = fallback if output is None else None if output == "-" else Path(output)
        if named is None:
            raise UsageError("--no-clobber is for a file", "give its name with -o, or leave out --no-clobber")
        if named.is_file():
            from tts_cli.sinks.file import already_there

            raise already_there(named)
    if output == "-":
        if json:
            raise UsageError("--json and -o - both write to standard output", "choose one of them")
        if not is_open(1):
            raise UsageError("standard output is closed", "pipe it on: tts speak … -o - | player, or use -o FILE")
        if sys.stdout.isatty():
            raise UsageError("a terminal cannot show sound", "pipe it on: tts speak … -o - | player, or use -o FILE")


def _source(text: str | None, file: Path | None, idle: float) -> TextSource:
    from tts_cli import source

    if file is not None and str(file) != "-":
        return source.text_file(file, idle)
    if text is not None and text != "-":
        return source.text_argument(text)
    if not is_open(0):
        raise UsageError("standard input is closed", "give the text as an argument or with -f FILE")
    if sys.stdin is not None and sys.stdin.isatty():
        print("Type a line and press Enter to hear it; Ctrl-D ends.", file=sys.stderr)  # noqa: T201
    return source.text_stdin(idle)


def _sink(output: str | None, clobber: bool, raw: bool, play: bool, device: str | None, cancelled: Event) -> Sink:
    from tts_cli.sinks import BothSinks
    from tts_cli.sinks.file import FileSink
    from tts_cli.sinks.stream import StreamSink, open_stream

    if output is None:
        return _speaker(device)
    target: Sink
    if output == "-":
        target = StreamSink(1, "standard output", raw)
    else:
        target = open_stream(Path(output), cancelled) or FileSink(Path(output), clobber)
    if not play:
        return target
    try:
        return BothSinks(target, _speaker(device))
    except BaseException:
        target.close()
        raise


def _speaker(device: str | None) -> Sink:
    from tts_cli.sinks.devices import find_device
    from tts_cli.sinks.speaker import SpeakerSink

    return SpeakerSink(find_device(device))
