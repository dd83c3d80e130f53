"""The commands `tts model`: download the weights of Chatterbox, and show where they are."""

from __future__ import annotations

from typing import Annotated

import typer

from tts_cli.cli.help import App
from tts_cli.cli.shared_options import ModelDir
from tts_cli.cli.streams import print_path
from tts_cli.engines.chatterbox.weights.models import DEFAULT, ModelName
from tts_cli.printable import harmless

app = App(help="Download the weights of Chatterbox, and show where they are.")

Name = Annotated[ModelName, typer.Argument(help="Which model.")]
Revision = Annotated[str | None, typer.Option(help="A branch, tag or commit of its repository.", show_default=False)]


@app.command("pull")
def pull(
    name: Name = DEFAULT,
    revision: Revision = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not download; fail if a file is missing.")] = False,
) -> None:
    """Download a model, or the missing part of it, into the Hugging Face cache."""
    from rich.console import Console

    from tts_cli.cli.download_bars import download_bars
    from tts_cli.engines.chatterbox.weights.download import pull as download

    with download_bars(Console(stderr=True, markup=False)) as report:
        path = download(name, revision=revision, offline=offline, report=report)
    print_path(path)


@app.command("list")
def list_(model_dir: ModelDir = None) -> None:
    """List the models on this machine, complete or not."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from tts_cli.engines.chatterbox.weights.locate import installed

    found = installed(model_dir)
    if not found:
        typer.echo("no model is here; fetch one with: tts model pull turbo", err=True)
        return
    table = Table("Name", "State", "Size", box=None)
    table.add_column("Folder", overflow="fold")  # a path that is cut off leads nowhere
    for item in found:
        state = "complete" if not item.lacks else ("can speak" if item.speaks else f"lacks {', '.join(item.lacks)}")
        table.add_row(item.model.name, state, decimal(item.size), harmless(str(item.path)))
    Console(markup=False).print(table)


@app.command("path")
def path(name: Name = DEFAULT, model_dir: ModelDir = None, revision: Revision = None) -> None:
    """Print the folder of a model on this machine."""
    from tts_cli.engines.chatterbox.weights.locate import locate

    print_path(locate(name, model_dir, revision=revision))
