"""The command `tts devices`."""

from __future__ import annotations

from typing import Annotated

import typer

from tts_cli.errors import MissingError
from tts_cli.printable import harmless


def devices(
    inputs: Annotated[bool, typer.Option("--inputs", help="List the audio inputs instead.")] = False,
) -> None:
    """List the audio outputs; --output-device takes a number or a part of a name."""
    from rich.console import Console
    from rich.table import Table

    from tts_cli.playback.devices import list_devices
    from tts_cli.playback.microphone import list_inputs

    found = list_inputs() if inputs else list_devices()
    if not found and inputs:
        raise MissingError("this machine has no audio input", "connect a microphone")
    if not found:
        raise MissingError("this machine has no audio output", "write a file instead: -o speech.wav")
    table = Table("", "No.", "Name", "System", "Channels", "Rate", box=None)
    for device in found:
        mark = "*" if device.default else ""
        table.add_row(
            mark,
            str(device.index),
            harmless(device.name),
            harmless(device.system),
            str(device.channels),
            str(device.rate),
        )
    Console(markup=False, soft_wrap=True).print(table)
