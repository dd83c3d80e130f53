"""The command `tts tune`: times Chatterbox on this machine, and keeps the result for `auto`."""

from __future__ import annotations

import json as json_format
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event, Thread, Timer
from typing import TYPE_CHECKING, Any, Final

from tts_cli import signals
from tts_cli.cli.shared_options import Json, ModelDir, ModelName
from tts_cli.engines.chatterbox.weights.models import DEFAULT
from tts_cli.printable import harmless, on_one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tts_cli.engines.chatterbox.tuning.rule import Row
    from tts_cli.engines.chatterbox.tuning.search import Tuned

REFRESH_SECONDS: Final = 0.5
"""Drawing is work, too, so it is rare."""
PATIENCE_SECONDS: Final = 1.0
"""How long the present step may take after Ctrl-C before the process ends without it. Nothing is lost then."""
Progress = Callable[[str, "Sequence[Row]"], None]


def tune(model: ModelName = DEFAULT, model_dir: ModelDir = None, json: Json = False) -> None:
    """Find out which way of computing is fast enough on this machine, for auto; takes 10 to 20 s.

    Times Chatterbox's stages on the devices that are here, in the precisions and with the strategies and threads that
    can be the best. Device, precision, strategy and threads that are not named in later runs are the most faithful ones
    that are fast enough; if none are, the fastest. Options that are named always count.
    """
    from rich.console import Console

    from tts_cli.engines.chatterbox.weights.locate import locate, require_packages

    require_packages()
    folder = locate(model, model_dir)
    found = timed(folder, _display(Console(stderr=True, highlight=False, markup=False), shown=not json))
    from tts_cli.engines.chatterbox.tuning.store import write

    if not json:
        results = Console(highlight=False, markup=False)
        results.print(table(found.rows))
        for line in told(found):
            results.print(harmless(line), soft_wrap=True)
    else:
        print(json_format.dumps(report(found)), flush=True)  # noqa: T201
    file = write(found.rows, folder)
    if not json:
        results.print(on_one_line(f"kept in {file}"), soft_wrap=True)


def tune_once(folder: Path, console: Console) -> None:
    """Time this machine if that was not done, and print the choice. A failure is printed in one line."""
    try:
        from tts_cli.engines.chatterbox.tuning.store import read, write

        if read(folder).state == "measured":
            return
        found = timed(folder, _status(console))
        write(found.rows, folder)
    except Exception as error:  # noqa: BLE001  the voice is made, so nothing that fails here ends the command
        line = f"tts: this machine could not be timed ({type(error).__name__}: {error}); try: tts tune"
        console.print(on_one_line(line), soft_wrap=True)
    else:
        console.print(harmless(f"timed this machine: {chosen(found)}"), soft_wrap=True)


def timed(folder: Path, display: AbstractContextManager[Progress]) -> Tuned:
    """Time this machine in a thread of its own, so that Ctrl-C neither waits for a step nor interrupts it.

    Parameters
    ----------
    folder
        The folder with the weights.
    display
        Gives a function that shows what is being done and the rows so far.

    Raises
    ------
    TTSError
        As `timing.tune_here`.
    KeyboardInterrupt
        After Ctrl-C, when the present step has ended. If that takes long, the process ends.
    """
    news: tuple[str, Sequence[Row]] = ("loading torch", ())
    cancelled = Event()
    outcome: Future[Tuned] = Future()

    def progress(doing: str, rows: Sequence[Row]) -> None:
        nonlocal news
        if cancelled.is_set():
            raise _CancelledError
        news = doing, rows

    def work() -> None:
        try:
            from tts_cli.engines.chatterbox.tuning.timing import tune_here

            outcome.set_result(tune_here(folder, progress))
        except BaseException as error:  # noqa: BLE001 (raised in the thread that waits)
            outcome.set_exception(error)

    thread = Thread(target=work, name="time this machine", daemon=True)
    try:
        with display as show:
            show(*news)
            thread.start()
            while not wait([outcome], REFRESH_SECONDS).done:
                show(*news)
        return outcome.result()
    except KeyboardInterrupt:
        cancelled.set()
        leaving = Timer(PATIENCE_SECONDS, os._exit, [signals.exit_code()])
        leaving.start()
        wait([outcome])
        leaving.cancel()
        raise


class _CancelledError(BaseException):
    """Raised in the timing thread after Ctrl-C. No `Exception`, because after an `Exception` a GPU is left out."""


def report(found: Tuned) -> dict[str, Any]:
    """The object that `--json` prints; docs/chatterbox.md describes it."""
    from dataclasses import asdict

    from tts_cli.engines.chatterbox.tuning.identity import Machine
    from tts_cli.engines.chatterbox.tuning.rule import LIMIT
    from tts_cli.engines.chatterbox.tuning.store import fields

    choice = found.choice
    return {
        "machine": asdict(Machine.here()),
        "seconds": round(found.seconds, 1),
        "limit": LIMIT,
        "rows": [*map(fields, found.rows)],
        "left_out": list(found.left_out),
        "choice": asdict(choice.row.way) | {"rtf": choice.row.rtf, "holds": choice.holds, "why": choice.why},
    }


def table(rows: Sequence[Row]) -> Table:
    """The rows as a table."""
    from rich.table import Table

    made = Table(box=None)
    for heading in ("Device", "Precision", "Strategy"):
        made.add_column(heading, no_wrap=True)
    for heading in ("Threads", "T3", "Flow", "Vocoder", "RTF", "RTF, large"):
        made.add_column(heading, justify="right")
    for row in rows:
        way = row.way
        times = (_milliseconds(each) for each in (row.token, row.flow, row.vocoder))
        rtf = f"{'≥ ' if row.least else ''}{row.rtf:.2f}"
        large = "–" if row.large is None else f"{row.large:.2f}"
        made.add_row(way.device, way.precision, way.strategy, str(way.threads), *times, rtf, large)
    return made


def told(found: Tuned) -> Iterator[str]:
    """The choice, what was left out, and what the table means, line by line."""
    from tts_cli.engines.chatterbox.tuning.search import BLOCK, LARGE

    yield f"T3: ms a token; flow, vocoder: ms a block of {BLOCK} tokens, alone. RTF: together, in blocks of {BLOCK},"
    yield f"and in large ones, of {LARGE}. ≥: calculated from the parts, because it is too slow or not needed."
    yield from (f"not timed: {each}" for each in found.left_out)
    yield f"auto: {chosen(found)}"


def chosen(found: Tuned) -> str:
    """The choice and its reason in a line."""
    row = found.choice.row
    return f"{row.way} (RTF {row.rtf:.2f}): {found.choice.why}"


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.3g}"


@contextmanager
def _status(console: Console) -> Iterator[Progress]:
    with console.status("timing this machine, once") as status:
        yield lambda doing, _rows: status.update(f"timing this machine, once: {doing}")


@contextmanager
def _display(console: Console, shown: bool) -> Iterator[Progress]:
    """Show the rows so far and what is being done, if the terminal can. Drawing waits for the end of what is timed."""
    from rich.console import Group
    from rich.text import Text

    from tts_cli.cli.display import has_live_display
    from tts_cli.cli.screen import Screen

    if not shown or not has_live_display(console):
        yield lambda _doing, _rows: None
        return
    begun = time.perf_counter()
    with Screen(console) as screen:

        def show(doing: str, rows: Sequence[Row]) -> None:
            line = Text(f"{time.perf_counter() - begun:4.0f} s  {doing}", style="dim")
            screen.show(Group(table(rows), line) if rows else line)

        yield show
