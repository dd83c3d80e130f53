"""The command `tts bench`."""

from __future__ import annotations

import json as json_format
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts_cli.cli.display import left_to
from tts_cli.cli.options import with_engine_options
from tts_cli.cli.speak import EngineName, Json, Voice
from tts_cli.engines.registry import AUTO
from tts_cli.errors import UsageError
from tts_cli.printable import harmless, on_one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tts_cli.measure.bench import Row, Spread

_PANEL = "Chatterbox"
Text = Annotated[str | None, typer.Option(help="What to say; by default, a fixed sentence.", show_default=False)]
Strategy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How chunks are decoded: a strategy of the engine, auto, or all to compare them. "
        "See docs/lab/experiments.md.",
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
Listen = Annotated[
    Path | None,
    typer.Option(
        "--listen",
        metavar="DIR",
        help="With --fidelity: write the sounds that are compared into a new folder, under names that do not tell "
        "which is which; key.txt does.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Runs = Annotated[int, typer.Option(min=1, max=1000, help="How many runs are measured.")]
Warmup = Annotated[int, typer.Option(min=0, max=1000, help="How many runs come before and are not measured.")]
Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.png",
        help="Draw when the chunks of the last run were computed, waited and were played.",
        show_default=False,
    ),
]


@with_engine_options(measuring=True, leaving_out=("strategy",))
def bench(
    given: dict[str, object],
    text: Text = None,
    voice: Voice = None,
    engine: EngineName = AUTO,
    strategy: Strategy = None,
    runs: Runs = 5,
    warmup: Warmup = 1,
    plot: Plot = None,
    json: Json = False,
    compare: Compare = None,
    fidelity: Fidelity = False,
    listen: Listen = None,
) -> None:
    """Measure speaking in a warm process: nothing is played.

    Examples:
      tts bench
      tts bench --mode simple
      tts bench --strategy all --tokens 75 --plot timeline.png
      tts bench --compare upstream,independent --tokens 75 --runs 3
      tts bench --fidelity
    """
    from rich.console import Console

    from tts_cli.engines.options import values
    from tts_cli.engines.registry import baselines, choose, split
    from tts_cli.measure import bench as measure
    from tts_cli.measure.timeline import check_plot
    from tts_cli.measure.timeline import plot as draw
    from tts_cli.session import Session

    if plot is not None:
        check_plot(plot)
    if listen is not None and not fidelity:
        raise UsageError("--listen writes what --fidelity compares", "add --fidelity")
    notices = Console(stderr=True, highlight=False, markup=False)
    spec, notice = choose(engine, voice, given)
    settings, options = split(spec, given)
    if notice:
        notices.print(f"tts: {harmless(notice)}", soft_wrap=True)
    if fidelity:
        from tts_cli.cli.fidelity import fidelity as print_fidelity

        if compare or plot:
            raise UsageError("--fidelity takes no time and draws nothing", "leave out --compare and --plot")
        with _progress(notices) as progress:
            print_fidelity(spec, settings, options, given, voice, text, strategy, listen, json, progress)
        return
    with _progress(notices) as progress, ExitStack() as held:
        progress("loading")
        others = held.enter_context(baselines(spec, settings, compare)) if compare is not None else {}
        session = held.enter_context(Session(spec, settings, voice))
        session.settle()
        if session.notice:
            notices.print(f"tts: {on_one_line(session.notice)}", soft_wrap=True)
        rows = measure.bench(
            session,
            options,
            measure.TEXT if text is None else text,
            strategy,
            runs,
            warmup,
            progress=progress,
            baselines=others,
        )
    precision = session.engine.precision
    chunks = f"chunks of {options.chunk} tokens" if options.chunk else "--chunk auto"
    title = f"{spec.name} · {harmless(session.voice)} · {options.mode} · {chunks}"
    title += f" · {runs} {'run' if runs == 1 else 'runs'}{f' · {precision}' if precision else ''}"
    for row in rows:
        for line in row.runs[-1].notices:
            notices.print(f"tts: {on_one_line(f'{row.way}: {line}')}", soft_wrap=True)
    if plot is not None:
        draw({_name(row): row.arrivals for row in rows}, title, plot)
    if not json:
        console = Console(highlight=False, markup=False)
        console.print(_table(rows, title))
        for line in _gains(rows):
            console.print(line, soft_wrap=True)
        return
    about: dict[str, object] = {"engine": spec.name, "voice": session.voice, "mode": options.mode}
    about |= {"precision": precision, "auto": left_to(session.engine, options) or None}
    about |= {"chunk": options.chunk or "auto", "seed": options.seed}
    about |= {"options": {name: value for name, value in values(options).items() if name not in (*about, "strategy")}}
    about |= {"runs": runs, "warmup": warmup, "machine": platform.platform()}
    about |= {"rows": measure.report([row for row in rows if not row.baseline])}
    about |= {"baselines": measure.report([row for row in rows if row.baseline])}
    print(json_format.dumps(about), flush=True)  # noqa: T201


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Show what is being done while it is done, if there is a terminal."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda _doing: None
        return
    with console.status("") as status:
        yield status.update


def _table(rows: Sequence[Row], title: str) -> Table:
    """A table of medians, each with the least and the greatest value below it."""
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
    """The name of a row. Upstream's code has a way called `independent`, too, so baselines are marked."""
    return f"{row.way}\n(upstream's code)" if row.baseline else row.way


def _gains(rows: Sequence[Row]) -> Iterator[str]:
    """The gain of each way over each baseline, in words."""
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
