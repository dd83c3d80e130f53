"""The commands `tts server`: show and end the processes that `tts speak --keep-warm` keeps."""

from __future__ import annotations

from typing import Final

import typer

from tts_cli.cli.help import App
from tts_cli.printable import on_one_line

NONE: Final = "no engine is kept; keep one with: tts speak --keep-warm 10m"
app = App(help="Show and end the processes that tts speak --keep-warm keeps.")


@app.command("status")
def status() -> None:
    """Show which engines are kept."""
    from tts_cli.resident.control import residents

    lines = [on_one_line(str(each)) for each in residents()]
    for line in lines or [NONE]:
        typer.echo(line)


@app.command("stop")
def stop() -> None:
    """End them. Texts that they speak are finished first, for some seconds."""
    from tts_cli.resident.control import residents
    from tts_cli.resident.control import stop as end

    found = list(residents())
    if not found:
        typer.echo(NONE)
    for each in found:
        end(each)
        typer.echo(f"ended: {on_one_line(each.engine)}, process {each.pid}")
