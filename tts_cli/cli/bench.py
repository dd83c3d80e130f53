"""`tts bench`."""

from __future__ import annotations

import json as json_format
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tts_cli.cli.speak import (
    Chunk,
    ComputeDevice,
    EngineName,
    Json,
    ModelDir,
    ModelName,
    ModeName,
    Parallel,
    Seed,
    Voice,
    VoicesDir,
    Watermark,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tts_cli.bench import Row, Spread

_PANEL = "Chatterbox"
Text = Annotated[str | None, typer.Option(help="What to say; else a sentence of our own.", show_default=False)]
StrategyName = Annotated[
    Literal["all", "independent", "overlap", "context"] | None,
    typer.Option(
        help="How chunks are decoded; all compares. See docs/experiments.md.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Tokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Draw exactly so many speech tokens, whatever the model says about the end.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Runs = Annotated[int, typer.Option(min=1, max=1000, help="Runs that count.")]
Warmup = Annotated[int, typer.Option(min=0, max=1000, help="Runs before them that do not.")]
Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.png",
        help="Draw when chunks were computed, played and waiting, in the last run.",
        show_default=False,
    ),
]


def bench(
    text: Text = None,
    voice: Voice = None,
    chunk: Chunk = 10,
    mode: ModeName = "streaming",
    engine: EngineName = "auto",
    seed: Seed = 0,
    runs: Runs = 5,
    warmup: Warmup = 1,
    plot: Plot = None,
    voices_dir: VoicesDir = None,
    json: Json = False,
    model: ModelName = "turbo",
    model_dir: ModelDir = None,
    device: ComputeDevice = "auto",
    strategy: StrategyName = None,
    parallel: Parallel = True,
    tokens: Tokens = None,
    watermark: Watermark = True,
) -> None:
    """Measure speaking in a warm process: nothing is played.

    Examples: tts bench · tts bench --mode simple · tts bench --strategy all --tokens 75 --plot timeline.png
    """
    from rich.console import Console

    from tts_cli import bench as measure
    from tts_cli.engines import EngineSettings, SpeakOptions, choose_engine, choose_voice, load_engine
    from tts_cli.timeline import check_plot
    from tts_cli.timeline import plot as draw

    if plot is not None:
        check_plot(plot)
    notices = Console(stderr=True, highlight=False, markup=False)
    settings = EngineSettings(voices_dir, model, model_dir, device, watermark)
    options = SpeakOptions(chunk=chunk, mode=mode, seed=seed, parallel=parallel, tokens=tokens)
    name, notice = choose_engine(engine, voice, settings)
    if notice:
        notices.print(f"tts: {notice}", soft_wrap=True)
    with _progress(notices) as progress:
        progress("loading")
        with closing(load_engine(name, settings)) as loaded:
            chosen = choose_voice(loaded, voice)
            rows = measure.bench(
                loaded,
                chosen,
                options,
                measure.TEXT if text is None else text,
                strategy,
                runs,
                warmup,
                progress=progress,
            )
    title = f"{loaded.name} · {chosen} · {mode} · chunks of {chunk} tokens · {runs} {'run' if runs == 1 else 'runs'}"
    if plot is not None:
        draw({row.way: row.arrivals for row in rows}, title, plot)
    if not json:
        Console(highlight=False, markup=False).print(_table(rows, title))
        return
    about = {"engine": loaded.name, "voice": chosen, "mode": mode, "chunk": chunk, "seed": seed, "tokens": tokens}
    about |= {"parallel": parallel, "runs": runs, "warmup": warmup, "machine": platform.platform()}
    print(json_format.dumps(about | {"rows": measure.report(rows)}), flush=True)  # noqa: T201


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Tells what is being done, where there is a terminal to tell it on; gone when it is done."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda _doing: None
        return
    with console.status("") as status:
        yield status.update


def _table(rows: Sequence[Row], title: str) -> Table:
    """Medians, and below each the least and the most."""
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        box=None,
        caption="Median, and least–most. Seam: jumps at joins over jumps elsewhere, of mel levels\n"
        "and of samples. Distance: of mel levels to the same speech computed whole, RMS.",
        caption_justify="left",
    )
    table.add_column("Strategy", no_wrap=True)
    for heading in ("First audio", "Total", "Audio duration", "RTF", "Seam", "Distance"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.way,
            _time(row.spread(lambda run: run.ttfa)),
            _time(row.spread(lambda run: run.total)),
            f"{row.runs[-1].sound:.2f} s",
            _ratio(row.spread(lambda run: run.rtf)),
            "–" if row.seam is None else f"{row.seam.spectral:.2f}\n{row.seam.sample:.2f}",
            "–" if row.distance is None else f"{row.distance:.2f} dB",
        )
    return table


def _time(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    if spread.median < 1:
        return f"{spread.median * 1000:.0f} ms\n{spread.low * 1000:.0f}–{spread.high * 1000:.0f}"
    return f"{spread.median:.2f} s\n{spread.low:.2f}–{spread.high:.2f}"


def _ratio(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    digits = 3 if spread.median < 0.1 else 2
    return f"{spread.median:.{digits}f}\n{spread.low:.{digits}f}–{spread.high:.{digits}f}"
