"""The progress of a pull, drawn: a bar for every file and one for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tts_cli.engines.chatterbox.weights.download import Report, Transfer
from tts_cli.shown import harmless

__all__ = ["download_bars"]


@contextmanager
def download_bars(console: Console) -> Iterator[Report | None]:
    """While the block runs, `pull(report=…)` draws on `console`; None where that is not a terminal."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        total = progress.add_task("total", total=None)
        tasks = {}

        def draw(state: Transfer) -> None:
            if state.file not in tasks:
                tasks[state.file] = progress.add_task(harmless(state.file), total=state.size)
            progress.update(tasks[state.file], completed=state.done)
            progress.update(total, completed=state.total_done, total=state.total)

        yield draw
