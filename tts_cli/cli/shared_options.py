"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tts_cli.cli import completion
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.weights import models
from tts_cli.engines.options import declared

_SETTINGS = declared(ChatterboxSettings)

OutputDevice = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|N",
        help="Audio output; `tts devices` lists them.",
        show_default=False,
        autocompletion=completion.devices,
    ),
]
ModelName = Annotated[models.ModelName, typer.Option("--model", help=_SETTINGS["model"].option.help)]
OptionalModelName = Annotated[
    models.ModelName | None, typer.Option("--model", help=_SETTINGS["model"].option.help, show_default=False)
]
ModelDir = Annotated[Path | None, typer.Option(help=_SETTINGS["model_dir"].option.help, show_default=False)]
VoicesDir = Annotated[Path | None, typer.Option(help=_SETTINGS["voices_dir"].option.help, show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
