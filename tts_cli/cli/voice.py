"""The commands `tts voice`: make, list, show and remove voices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tts_cli.cli import completion
from tts_cli.cli.streams import print_path
from tts_cli.errors import UsageError
from tts_cli.shown import harmless

if TYPE_CHECKING:
    from tts_cli.engines import VoiceInfo

app = typer.Typer(help="Make, list, show and remove voices.", no_args_is_help=True)

VoicesDir = Annotated[
    Path | None,
    typer.Option("--voices-dir", envvar="TTS_VOICES_DIR", help="Folder of cached voices.", show_default=False),
]
ModelDir = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the weights; also TTS_MODEL_DIR.", show_default=False),
]
ModelName = Annotated[Literal["turbo", "nano"], typer.Option("--model", help="The model that is to speak with it.")]

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
    model: ModelName = "turbo",
    model_dir: ModelDir = None,
    voices_dir: VoicesDir = None,
) -> None:
    """Turn a recording into a voice that loads in milliseconds."""
    from rich.console import Console

    from tts_cli.engines.chatterbox.voice.store import VoiceStore, name_from
    from tts_cli.engines.chatterbox.weights.locate import locate, require_packages

    name = name or name_from(file)
    _check_not_own(name)
    store = VoiceStore(voices_dir)
    store.check_free(name, force)
    require_packages()
    folder = locate(model, model_dir, voice_caching=True)
    with Console(stderr=True, markup=False).status("loading") as status:
        from tts_cli.engines.chatterbox.voice.cloning import cache_voice

        info = cache_voice(file, name, folder, store, force=force, progress=status.update)
    print_path(info.path or store.path(name))
    typer.echo(f'speak with it: tts speak "Hello." --voice {info.name}')


@app.command("list")
def list_(model: ModelName = "turbo", model_dir: ModelDir = None, voices_dir: VoicesDir = None) -> None:
    """List all voices."""
    from rich.console import Console
    from rich.table import Table

    table = Table("Name", "Engine", "From", box=None)
    for info in _voices(model, model_dir, voices_dir):
        table.add_row(*map(harmless, (info.name, info.engine, info.source or "ships with the engine")))
    Console(markup=False, soft_wrap=True).print(table)


@app.command("info")
def info(name: VoiceName, model: ModelName = "turbo", model_dir: ModelDir = None, voices_dir: VoicesDir = None) -> None:
    """Show what is known about one voice."""
    from dataclasses import asdict

    voices = _voices(model, model_dir, voices_dir)
    found = next((voice for voice in voices if voice.name == name), None)
    if found is None:
        known = ", ".join(voice.name for voice in voices)
        raise UsageError(f"there is no voice called {name!r}", f"choose: {known}")
    for key, value in asdict(found).items():
        if value not in ("", None):
            typer.echo(f"{key:<9} {harmless(str(value))}")


@app.command("remove")
def remove(name: StoredVoice, voices_dir: VoicesDir = None) -> None:
    """Delete a cached voice."""
    from tts_cli.engines.chatterbox.voice.store import VoiceStore

    _check_not_own(name)
    VoiceStore(voices_dir).remove(name)


def _voices(model: str, model_dir: Path | None, voices_dir: Path | None) -> list[VoiceInfo]:
    """The voices of all engines."""
    from tts_cli.engines.registry import engines, split

    given = {"model": model, "model_dir": model_dir, "voices_dir": voices_dir}
    found: list[VoiceInfo] = []
    for spec in reversed(list(engines().values())):
        settings, _ = split(spec, {name: value for name, value in given.items() if spec.has(name)})
        found += spec.voices(settings)
    return found


def _check_not_own(name: str) -> None:
    """Raise `UsageError` if a voice that comes with an engine has that name."""
    from tts_cli.engines.registry import engines

    for spec in engines().values():
        if name.casefold() in spec.own_voices:  # macOS takes Default.pt for default.pt
            raise UsageError(f"{name!r} is a voice of {spec.title} itself", "choose another with --name")
