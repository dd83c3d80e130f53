"""The command `tts doctor`."""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import replace
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts_cli.cli import completion
from tts_cli.cli.shared_options import Json, ModelDir, OptionalModelName, OutputDevice, VoicesDir
from tts_cli.engines.registry import AUTO

if TYPE_CHECKING:
    from tts_cli.cli.settings import Settings
    from tts_cli.finding import Finding

MARKS: Final = {"ok": "✓", "advice": "!", "missing": "✗"}
ASCII_MARKS: Final = {"ok": "ok", "advice": "!!", "missing": "no"}
"""For a terminal that cannot show the others."""
WIDTH: Final = 20
"""Width of the column of topics."""

EngineName = Annotated[
    str,
    typer.Option(help="The engine that is to speak; auto prefers Chatterbox.", autocompletion=completion.engines),
]
Tone = Annotated[bool, typer.Option("--tone", help="Play a tone of a second.")]
Thorough = Annotated[
    bool, typer.Option("--thorough", help="Read all weights and compare them with their digests: up to minutes.")
]


def doctor(
    engine: EngineName = AUTO,
    model: OptionalModelName = None,
    model_dir: ModelDir = None,
    voices_dir: VoicesDir = None,
    output_device: OutputDevice = None,
    tone: Tone = False,
    thorough: Thorough = False,
    json: Json = False,
) -> None:
    """Check whether tts can speak on this machine; each line is ✓ or says what to do.

    Exits with 3 if something is missing that `tts speak` needs (✗).
    """
    from tts_cli.doctor import findings

    asked = {"model": model, "model_dir": model_dir, "voices_dir": voices_dir}
    given = {name: value for name, value in asked.items() if value is not None}
    settings, first = _settings()
    if engine == AUTO:
        engine = settings.engine(None, given)
    found = []
    checks = findings(engine, given, lambda spec: settings.options(spec, None), output_device, tone, thorough)
    for each in chain([first], checks):
        found.append(each)
        if not json:
            _show(each)
    ready = all(each.state != "missing" for each in found)
    if json:
        from dataclasses import asdict

        print(json_format.dumps({"ready": ready, "findings": [*map(asdict, found)]}), flush=True)  # noqa: T201
    if not ready:
        raise typer.Exit(3)


def _settings() -> tuple[Settings, Finding]:
    """The user's settings, and what is to be said about them. None, if they cannot be read."""
    from tts_cli.cli.options import settings_for
    from tts_cli.cli.settings import NONE
    from tts_cli.cli.speak import speak
    from tts_cli.config import place
    from tts_cli.errors import TTSError
    from tts_cli.finding import finding

    settings = NONE

    def look() -> str:
        nonlocal settings
        settings = settings_for(speak)
        if settings.unknown:
            raise TTSError("; ".join(settings.unknown), "change it with: tts config edit")
        return f"in {place()}" if settings is not NONE else f"none; {place()} can hold some (tts config edit)"

    found = finding("settings", look)
    return settings, found if settings is not NONE or found.state == "ok" else replace(found, state="missing")


def _show(finding: Finding) -> None:
    """Print a finding at once: the next check may take seconds."""
    from tts_cli.printable import on_one_line

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names, too, may have letters that it cannot show
    mark = MARKS[finding.state]
    try:
        mark.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        mark = ASCII_MARKS[finding.state]
    said = f"{finding.found}; {finding.remedy}" if finding.remedy else finding.found
    print(f"{mark} {on_one_line(finding.topic):<{WIDTH}} {on_one_line(said)}", flush=True)  # noqa: T201
