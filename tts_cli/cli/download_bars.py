"""Draws the progress of a download: one bar for each file and one for all."""

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
from tts_cli.printable import harmless

__all__ = ["download_bars"]


@contextmanager
def download_bars(console: Console) -> Iterator[Report | None]:
    """The function for `pull(report=…)` that draws on `console` in the block; None if that is no terminal."""
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
