"""The command `tts bench --fidelity`: tables of how close each precision and strategy is to fp32, and a verdict."""

from __future__ import annotations

import json as json_format
import math
import platform
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from tts_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from tts_cli.audio import Samples
    from tts_cli.engines import EngineSettings, EngineSpec, SpeakOptions
    from tts_cli.engines.chatterbox.proof.verdict import Fidelity

WORST: Final = 5
"""How many of T3's linear maps the table shows, for each precision."""


def fidelity(
    spec: EngineSpec,
    settings: EngineSettings,
    options: SpeakOptions,
    given: Mapping[str, object],
    voice: str | None,
    text: str | None,
    strategy: str | None,
    listen: Path | None,
    json: bool,
    progress: Callable[[str], None],
) -> None:
    """Measure, and print tables and a verdict.

    Parameters
    ----------
    spec, settings, options
        The engine, with what it loads with and speaks with.
    given
        Settings and options that the user has set, by name.
    voice
        The voice; None for the engine's default.
    text
        What to say; None for a fixed text.
    strategy
        A strategy of the engine; `all`, `auto` and None measure every one.
    listen
        A new folder for the sounds that are compared; None to keep none.
    json
        Whether to print one JSON object instead of tables.
    progress
        Called with a few words when a step begins.

    Raises
    ------
    UsageError
        For an engine without precisions, and for options without effect.
    MissingError
        If packages or weights are missing.
    """
    from rich.console import Console

    from tts_cli.engines.chatterbox.options import STRATEGIES, ChatterboxOptions, ChatterboxSettings

    if not isinstance(settings, ChatterboxSettings):
        raise UsageError(f"the {spec.name} engine has no precisions to choose from", "leave out --fidelity")
    spec.check_available(settings)  # what follows imports torch
    from tts_cli.engines.chatterbox.proof import fidelity as measure
    from tts_cli.engines.chatterbox.proof.listening import blind_sounds
    from tts_cli.engines.chatterbox.proof.verdict import report, summary
    from tts_cli.engines.chatterbox.voice.store import VoiceStore
    from tts_cli.engines.chatterbox.weights.locate import locate

    chunk, seed = options.chunk or measure.CHUNK, options.seed
    if options.mode != "streaming" or "precision" in given or ("chunk" in given and options.chunk is None):
        raise UsageError(
            "--fidelity measures every precision, streamed in chunks of one size",
            "leave out --mode, --precision and --chunk auto",
        )
    folder = locate(settings.model, settings.model_dir)
    store = VoiceStore(settings.voices_dir, folder)
    name = voice or store.speakable()[0]
    count = ChatterboxOptions.of(options).tokens or measure.POSITIONS
    with ExitStack() as held:
        sounded = held.enter_context(blind_sounds(listen)) if listen is not None else _unheard
        found = measure.measure(
            folder,
            store.path(name),
            text or measure.TEXT,
            device=settings.device,
            strategies=[name for name in STRATEGIES if strategy in (name, None, "all", "auto")],
            chunk=chunk,
            seed=seed,
            positions=count,
            flow_steps=settings.flow_steps,
            prompt_seconds=settings.prompt_seconds,
            progress=progress,
            sounded=sounded,
        )
    if json:
        about = {"model": settings.model, "voice": name, "tokens": count, "chunk": chunk, "seed": seed}
        about |= {"machine": platform.platform()}
        print(json_format.dumps(about | report(found)), flush=True)  # noqa: T201
        return
    console = Console(highlight=False, markup=False)
    console.print(_drawings(found, f"{settings.model} · {name} · T3, next token · {count} positions"))
    console.print()
    console.print(_maps(found))
    console.print()
    console.print(_sound_table(found, f"S3Gen, sound · {count} tokens in chunks of {chunk}"))
    console.print()
    for line in summary(found):
        console.print(line)


def _unheard(_way: str, _sound: Samples) -> None:
    """Without --listen, sounds are not kept."""


def _drawings(found: Fidelity, title: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    table.add_column("T3")
    for heading in ("KL", "95 %", "Same choice"):
        table.add_column(heading, justify="right")
    table.add_column("Against fp32")
    for row in found.tokens:
        table.add_row(row.precision, f"{row.kl:.2g}", f"{row.kl_tail:.2g}", f"{row.agreement:.1%}", row.words)
    return table


def _maps(found: Fidelity) -> Table:
    from rich.table import Table

    table = Table(
        title=f"T3, linear maps · the {WORST} that are furthest from fp32's, in each precision",
        title_justify="left",
        box=None,
        caption="Each map alone, given what fp32's is given: relative error, median over positions. All maps: --json.",
        caption_justify="left",
    )
    table.add_column("T3")
    table.add_column("Layer", justify="right")
    table.add_column("Map")
    for heading in ("Error", "Median of all"):
        table.add_column(heading, justify="right")
    for precision in dict.fromkeys(row.precision for row in found.maps):
        rows = sorted((row for row in found.maps if row.precision == precision), key=lambda row: -row.error)
        middle = median(row.error for row in rows)
        for row in rows[:WORST]:
            layer = "" if row.layer is None else str(row.layer)
            table.add_row(precision, layer, row.map, f"{row.error:.2%}", f"{middle:.2%}")
    return table


def _sound_table(found: Fidelity, title: str) -> Table:
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        caption="Against fp32 decoded whole. Distance: of mel levels, RMS, in dB; "
        f"{found.other_noise:.1f} with other noise.\nSNR of the wave in dB. Loudness: its drift in dB in 10 s; "
        "timbre: its drift in dB. Pitch: F0 apart in cents, "
        f"{_cents(found.other_pitch[0])} with other noise.\nVoiced: frames in which both have a pitch or neither has, "
        f"{found.other_pitch[1]:.0%} with other noise.",
        caption_justify="left",
    )
    for heading in ("S3Gen", "Strategy"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Distance", "SNR", "Loudness", "Timbre", "Pitch", "Voiced"):
        table.add_column(heading, justify="right")
    table.add_column("Verdict", no_wrap=True)
    for row in found.sounds:
        table.add_row(
            row.precision,
            row.strategy,
            f"{row.distance:.2f}",
            f"{row.snr:.1f}",
            f"{row.loudness_drift:+.2f}",
            f"{row.timbre_drift:.2f}",
            _cents(row.cents),
            f"{row.voicing:.0%}",
            row.grade(found.other_noise).brief,
        )
    return table


def _cents(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}"
