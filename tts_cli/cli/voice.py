"""The commands `tts voice`: make, try, list, show, move and remove voices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts_cli.cli import completion
from tts_cli.cli.help import App
from tts_cli.cli.shared_options import ModelDir, ModelName, OutputDevice, VoicesDir
from tts_cli.cli.streams import print_path
from tts_cli.engines.chatterbox.weights.models import DEFAULT
from tts_cli.errors import UsageError
from tts_cli.paths import expanded
from tts_cli.printable import harmless

if TYPE_CHECKING:
    from tts_cli.engines import EngineSpec, VoiceInfo

app = App(help="Make, record, try, list, show, move and remove voices.")

SENTENCE: Final = "This is how I sound when I read a sentence to you."

Tune = Annotated[
    bool, typer.Option(help="Then time this machine as `tts tune` does, if that was not done.", show_default=True)
]

VoiceName = Annotated[str, typer.Argument(autocompletion=completion.voices)]
StoredVoice = Annotated[str, typer.Argument(autocompletion=completion.stored_voices)]


@app.command("cache")
def cache(
    file: Annotated[
        Path,
        typer.Argument(help="A recording of more than 5 s: wav, flac, mp3, ogg, m4a, aac and others."),
    ],
    name: Annotated[str | None, typer.Option(help="Its name; by default, the file's.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a voice of that name.")] = False,
    model: ModelName = DEFAULT,
    model_dir: ModelDir = None,
    voices_dir: VoicesDir = None,
    tune: Tune = True,
) -> None:
    """Turn a recording into a voice that loads in milliseconds."""
    from rich.console import Console

    from tts_cli.cli.tune import tune_once
    from tts_cli.engines.chatterbox.voice.store import VoiceStore, name_from
    from tts_cli.engines.chatterbox.weights.locate import locate, require_packages

    name = name or name_from(file)
    _check_not_own(name)
    store = VoiceStore(voices_dir)
    store.check_free(name, force)
    require_packages()
    folder = locate(model, model_dir, voice_caching=True)
    console = Console(stderr=True, highlight=False, markup=False)
    with console.status("loading") as status:
        from tts_cli.engines.chatterbox.voice.cloning import cache_voice

        info = cache_voice(file, name, folder, store, force=force, progress=status.update)
    print_path(info.path or store.path(name))
    if tune:
        tune_once(folder, console)
    typer.echo(f'speak with it: tts speak "Hello." --voice {info.name}')


@app.command("list")
def list_(model: ModelName = DEFAULT, model_dir: ModelDir = None, voices_dir: VoicesDir = None) -> None:
    """List all voices."""
    from rich.console import Console
    from rich.table import Table

    table = Table("Name", "Engine", "From", box=None)
    for _, info in _voices(model, model_dir, voices_dir):
        table.add_row(*map(harmless, (info.name, info.engine, info.source or "ships with the engine")))
    Console(markup=False, soft_wrap=True).print(table)


@app.command("info")
def info(name: VoiceName, model: ModelName = DEFAULT, model_dir: ModelDir = None, voices_dir: VoicesDir = None) -> None:
    """Show what is known about one voice."""
    from dataclasses import asdict

    _, found = _called(name, model, model_dir, voices_dir)
    for key, value in asdict(found).items():
        if value not in ("", None):
            typer.echo(f"{key:<9} {harmless(str(value))}")


@app.command("try")
def try_(
    name: VoiceName,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write a .wav, .flac, .mp3 or .ogg file.", show_default=False),
    ] = None,
    output_device: OutputDevice = None,
    model: ModelName = DEFAULT,
    model_dir: ModelDir = None,
    voices_dir: VoicesDir = None,
) -> None:
    """Say a sentence with a voice."""
    from tts_cli.cli.live import Destination, speak_live
    from tts_cli.cli.options import settings_for
    from tts_cli.cli.speak import speak
    from tts_cli.playback.opening import open_sink
    from tts_cli.text.markup.reading import Reading
    from tts_cli.text.sources import text_argument

    if output is not None and output_device is not None:
        raise UsageError("an output device plays nothing when sound goes to a file", "leave out one of both")
    spec, _ = _called(name, model, model_dir, voices_dir)
    asked = {"model": model, "model_dir": model_dir, "voices_dir": voices_dir}
    speak_live(
        engine_name=spec.name,
        voice=name,
        given={key: value for key, value in asked.items() if value is not None and spec.has(key)},
        settings=settings_for(speak),
        source=text_argument(SENTENCE, Reading("plain", "announce")),
        destination=Destination(lambda rate, _: open_sink(output, output_device, rate), output, None),
        strict=True,
        json=False,
        quiet=False,
        keys=output is None,
        text_shown=True,
    )


@app.command("remove")
def remove(name: StoredVoice, voices_dir: VoicesDir = None) -> None:
    """Delete a cached voice."""
    from tts_cli.engines.chatterbox.voice.store import VoiceStore

    _check_not_own(name)
    VoiceStore(voices_dir).remove(name)


@app.command("record")
def record(
    name: Annotated[str, typer.Argument(help="The name of the new voice.")],
    seconds: Annotated[float, typer.Option(min=6, max=60, metavar="S", help="How much to record.")] = 12.0,
    input_device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|N",
            help="Audio input; `tts devices --inputs` lists them.",
            show_default=False,
            autocompletion=completion.inputs,
        ),
    ] = None,
    output_device: OutputDevice = None,
    replay: Annotated[bool, typer.Option(help="Play the recording back.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a voice of that name.")] = False,
    model: ModelName = DEFAULT,
    model_dir: ModelDir = None,
    voices_dir: VoicesDir = None,
    tune: Tune = True,
) -> None:
    """Record yourself while you read a text, and make a voice of it."""
    from tempfile import TemporaryDirectory

    from tts_cli.cli.record import take
    from tts_cli.engines.chatterbox import SAMPLE_RATE
    from tts_cli.engines.chatterbox.voice.store import VoiceStore
    from tts_cli.engines.chatterbox.weights.locate import locate, require_packages
    from tts_cli.playback.microphone import find_input

    _check_not_own(name)
    VoiceStore(voices_dir).check_free(name, force)
    require_packages()
    locate(model, model_dir, voice_caching=True)
    device = find_input(input_device, SAMPLE_RATE)
    samples = take(device, seconds, output_device, replay)
    import soundfile

    with TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.wav")
        soundfile.write(file, samples, device.rate)
        cache(file, name, force, model, model_dir, voices_dir, tune)


@app.command("export")
def export(
    name: StoredVoice,
    file: Annotated[Path | None, typer.Argument(help="By default, NAME.zip.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file.")] = False,
    voices_dir: VoicesDir = None,
) -> None:
    """Write a cached voice into a ZIP file, for another machine."""
    from tts_cli.engines.chatterbox.voice.archive import export_voice
    from tts_cli.engines.chatterbox.voice.store import VoiceStore

    _check_not_own(name, "choose one that was cached: tts voice list")
    file = Path(f"{name}.zip") if file is None else expanded(file)
    export_voice(VoiceStore(voices_dir), name, file, force)
    print_path(file)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A ZIP file that `tts voice export` has written.")],
    name: Annotated[str | None, typer.Option(help="Its name here; by default, as it was.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a voice of that name.")] = False,
    voices_dir: VoicesDir = None,
) -> None:
    """Store a voice of another machine. It is checked first, and nothing in it is run."""
    from tts_cli.engines.chatterbox.voice.store import VoiceStore
    from tts_cli.engines.chatterbox.weights.locate import require_packages

    if name is not None:
        _check_not_own(name)
    require_packages()
    from tts_cli.engines.chatterbox.voice.archive import import_voice

    info = import_voice(expanded(file), VoiceStore(voices_dir), name, force, _check_not_own)
    print_path(info.path or Path(info.name))


def _voices(model: str, model_dir: Path | None, voices_dir: Path | None) -> list[tuple[EngineSpec, VoiceInfo]]:
    """The voices of all engines."""
    from tts_cli.engines.registry import engines, split

    given = {"model": model, "model_dir": model_dir, "voices_dir": voices_dir}
    found: list[tuple[EngineSpec, VoiceInfo]] = []
    for spec in reversed(list(engines().values())):
        settings, _ = split(spec, {name: value for name, value in given.items() if spec.has(name)})
        found += [(spec, voice) for voice in spec.voices(settings)]
    return found


def _called(name: str, model: str, model_dir: Path | None, voices_dir: Path | None) -> tuple[EngineSpec, VoiceInfo]:
    """The voice of that name, and its engine. Raises `UsageError` if there is none."""
    voices = _voices(model, model_dir, voices_dir)
    found = next((each for each in voices if each[1].name == name), None)
    if found is None:
        raise UsageError(f"there is no voice called {name!r}", f"choose: {', '.join(each.name for _, each in voices)}")
    return found


def _check_not_own(name: str, remedy: str = "choose another with --name") -> None:
    from tts_cli.engines.registry import check_not_own

    check_not_own(name, remedy)
