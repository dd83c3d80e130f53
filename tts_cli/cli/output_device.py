"""The option --output-device, which several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from tts_cli.cli import completion

OutputDevice = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|N",
        help="Audio output; `tts devices` lists them.",
        show_default=False,
        autocompletion=completion.devices,
    ),
]
