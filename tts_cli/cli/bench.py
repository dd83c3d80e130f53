"""`tts bench`."""

from __future__ import annotations

import json as json_format
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
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
    PrecisionName,
    PromptSeconds,
    Seed,
    Threads,
    Voice,
    VoicesDir,
    Watermark,
    chunk_tokens,
)
from tts_cli.errors import UsageError
from tts_cli.shown import harmless

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tts_cli.bench import Row, Spread
    from tts_cli.engines import Engine, EngineSettings

_PANEL = "Chatterbox"
Text = Annotated[str | None, typer.Option(help="What to say; else a sentence of our own.", show_default=False)]
StrategyName = Annotated[
    Literal["all", "auto", "independent", "overlap", "context", "cached"] | None,
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
Compare = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Measure upstream's own code as well: upstream (its whole generation), independent (the first prototype "
        "of streaming), or both with a comma between them.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Fidelity = Annotated[
    bool,
    typer.Option(
        "--fidelity",
        help="Instead of time, measure how near each precision and strategy stays to fp32, and judge it.",
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
    chunk: Chunk = "10",
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
    precision: PrecisionName = "auto",
    threads: Threads = None,
    prompt_seconds: PromptSeconds = None,
    parallel: Parallel = True,
    tokens: Tokens = None,
    watermark: Watermark = True,
    compare: Compare = None,
    fidelity: Fidelity = False,
) -> None:
    """Measure speaking in a warm process: nothing is played.

    Examples: tts bench · tts bench --mode simple · tts bench --strategy all --tokens 75 --plot timeline.png
    · tts bench --compare upstream,independent --tokens 75 --runs 3 · tts bench --fidelity
    """
    from rich.console import Console

    from tts_cli import bench as measure
    from tts_cli.cli.fidelity import fidelity as print_fidelity
    from tts_cli.engines import EngineSettings, SpeakOptions, choose_engine, choose_voice, load_engine
    from tts_cli.timeline import check_plot
    from tts_cli.timeline import plot as draw

    if plot is not None:
        check_plot(plot)
    notices = Console(stderr=True, highlight=False, markup=False)
    settings = EngineSettings(voices_dir, model, model_dir, device, watermark, precision, threads, prompt_seconds)
    size = chunk_tokens(chunk)
    options = SpeakOptions(chunk=size, mode=mode, seed=seed, parallel=parallel, tokens=tokens)
    name, notice = choose_engine(engine, voice, settings)
    if notice:
        notices.print(f"tts: {harmless(notice)}", soft_wrap=True)
    if fidelity:
        if name != "chatterbox":
            raise UsageError(f"the {name} engine has no precisions to choose from", "leave out --fidelity")
        if mode != "streaming" or size is None or compare or plot or precision != "auto":
            raise UsageError(
                "--fidelity measures every precision, streamed in chunks of one size",
                "leave out --mode, --precision, --compare, --plot and --chunk auto",
            )
        with _progress(notices) as progress:
            print_fidelity(settings, voice, text, size, seed, tokens, strategy, json, progress)
        return
    with _progress(notices) as progress, ExitStack() as held:
        progress("loading")
        baselines = _baselines(name, compare, settings, held) if compare is not None else {}
        loaded = held.enter_context(closing(load_engine(name, settings)))
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
            baselines=baselines,
        )
    title = f"{loaded.name} · {harmless(chosen)} · {mode} · chunks of {size or 'several'} tokens"
    title += f" · {runs} {'run' if runs == 1 else 'runs'}{f' · {loaded.precision}' if loaded.precision else ''}"
    if plot is not None:
        draw({_name(row): row.arrivals for row in rows}, title, plot)
    if not json:
        console = Console(highlight=False, markup=False)
        console.print(_table(rows, title))
        for line in _gains(rows):
            console.print(line, soft_wrap=True)
        return
    about: dict[str, object] = {"engine": loaded.name, "voice": chosen, "mode": mode, "precision": loaded.precision}
    about |= {"chunk": "auto" if size is None else size, "seed": seed, "tokens": tokens}
    about |= {"parallel": parallel, "runs": runs, "warmup": warmup, "machine": platform.platform()}
    about |= {"rows": measure.report([row for row in rows if not row.baseline])}
    about |= {"baselines": measure.report([row for row in rows if row.baseline])}
    print(json_format.dumps(about), flush=True)  # noqa: T201


def _baselines(engine: str, names: str, settings: EngineSettings, held: ExitStack) -> dict[str, Engine]:
    """The baselines of those names, held until the end of `held`."""
    if engine != "chatterbox":
        raise UsageError(f"there is nothing to compare the {engine} engine with", "leave out --compare")
    from tts_cli.engines.chatterbox.baselines import Baseline, Upstream, names_in

    wanted = names_in(names)
    upstream = held.enter_context(closing(Upstream(settings)))
    return {name: Baseline(upstream, name) for name in wanted}


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
            _name(row),
            _time(row.spread(lambda run: run.ttfa)),
            _time(row.spread(lambda run: run.total)),
            f"{row.runs[-1].sound:.2f} s",
            _ratio(row.spread(lambda run: run.rtf)),
            "–" if row.seam is None else f"{row.seam.spectral:.2f}\n{row.seam.sample:.2f}",
            "–" if row.distance is None else f"{row.distance:.2f} dB",
        )
    return table


def _name(row: Row) -> str:
    """Upstream's code has a way called `independent`, as ours has."""
    return f"{row.way}\n(upstream's code)" if row.baseline else row.way


def _gains(rows: Sequence[Row]) -> Iterator[str]:
    """What each way gains on each baseline, in words."""
    for row in rows:
        for name, gain in row.against.items():
            first = "never heard" if gain.ttfa is None else f"first audio {_times(gain.ttfa, 'sooner', 'later')}"
            yield f"{row.way} against {name}: {first}, RTF {_times(gain.rtf, 'less', 'more')}"


def _times(ratio: float, better: str, worse: str) -> str:
    return f"{ratio:.1f} × {better}" if ratio >= 1 else f"{1 / ratio:.1f} × {worse}"


def _time(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    if spread.median < 1:
        return f"{spread.median * 1000:.0f} ms\n{spread.low * 1000:.0f}–{spread.high * 1000:.0f}"
    digits = 1 if spread.median > 10 else 2
    return f"{spread.median:.{digits}f} s\n{spread.low:.{digits}f}–{spread.high:.{digits}f}"


def _ratio(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    digits = 3 if spread.median < 0.1 else 1 if spread.median > 10 else 2
    return f"{spread.median:.{digits}f}\n{spread.low:.{digits}f}–{spread.high:.{digits}f}"
