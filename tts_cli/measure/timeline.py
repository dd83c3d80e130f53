"""Calculates when chunks that arrive in time or late are heard, and draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Final

from tts_cli.errors import MissingError, OutputError, UsageError
from tts_cli.paths import cannot, check_place
from tts_cli.replace import replacing

WIDTH: Final = 10.0
HEIGHT: Final = 2.4
"""Width of the picture, and height for each run, in inches."""
COMPUTED: Final = ("#4c72b0", "#8fa9d4")
"""Chunks have these two colours in turn."""
PLAYED: Final = "#55a868"
BUFFERED: Final = "#dd8452"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A chunk that was computed. `at` is in seconds from the start of the run, in which all text is known."""

    at: float
    seconds: float
    """The length of the chunk."""
    needed: float
    """Seconds of sound to gather before playing starts (`prebuffer`)."""


@dataclass(slots=True)
class Playback:
    """When sound is heard, and how much waits to be played. Times are in seconds."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    """The beginning and the end of each stretch of sound. Between two stretches there is a gap."""
    level: list[tuple[float, float]] = field(default_factory=list)
    """Points of a line: a time, and the seconds of sound that wait at that time."""


def play(arrivals: Sequence[Arrival]) -> Playback:
    """When a speaker without latency would play `arrivals`, with the pre-buffer of each (see `prebuffer`).

    Examples
    --------
    >>> play([Arrival(at=1.0, seconds=0.5, needed=0.0), Arrival(at=2.0, seconds=0.5, needed=0.0)]).spans
    [(1.0, 1.5), (2.0, 2.5)]
    """
    heard = Playback()
    now = buffered = began = 0.0
    playing = False
    for number, arrival in enumerate(arrivals, 1):
        if playing and arrival.at - now > buffered:
            heard.spans.append((began, now + buffered))
            heard.level.append((now + buffered, 0.0))
            buffered, playing = 0.0, False
        elif playing:
            buffered -= arrival.at - now
        now = arrival.at
        heard.level += [(now, buffered), (now, buffered + arrival.seconds)]
        buffered += arrival.seconds
        if not playing and (buffered >= arrival.needed or number == len(arrivals)):
            began, playing = now, True
    if playing:
        heard.spans.append((began, now + buffered))
        heard.level.append((now + buffered, 0.0))
    return heard


def check_plot(path: Path) -> None:
    """Check, before anything is created, that a picture can be drawn and written at `path`.

    Raises
    ------
    UsageError
        If it is no name for a PNG file, or there is no such directory.
    MissingError
        If matplotlib is not installed.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{str(path)!r} is no name for a PNG file", "end it with .png")
    check_place(path)
    if find_spec("matplotlib") is None:
        raise MissingError("a picture needs matplotlib, which is not installed", "run: pip install '.[plot]'")


def plot(runs: Mapping[str, Sequence[Arrival]], title: str, path: Path) -> None:
    """Draw one or several runs into a PNG file.

    Parameters
    ----------
    runs
        The chunks of each run, by its name.
    title
        The title of the picture.
    path
        The file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure  # pyplot would add global state

    figure = Figure(figsize=(WIDTH, HEIGHT * len(runs) + 0.6), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2 * len(runs), 1, sharex=True, squeeze=False, height_ratios=[2, 3] * len(runs))[:, 0]
    for (name, arrivals), bars, level in zip(runs.items(), axes[::2], axes[1::2], strict=True):
        heard = play(arrivals)
        computed = [(begin, end - begin) for begin, end in pairwise([0.0, *(arrival.at for arrival in arrivals)])]
        bars.broken_barh(computed, (1.1, 0.8), facecolors=COMPUTED)
        bars.broken_barh([(begin, end - begin) for begin, end in heard.spans], (0.1, 0.8), facecolors=PLAYED)
        bars.set_yticks([1.5, 0.5], ["chunks computed", "sound played"])
        bars.set_title(name, loc="left", fontsize="medium")
        times, waiting = zip(*heard.level, strict=True)
        level.fill_between(times, waiting, color=BUFFERED, alpha=0.6, linewidth=0)
        level.set_ylabel("buffered [s]")
        level.set_ylim(bottom=0)
    axes[-1].set_xlim(left=0)
    axes[-1].set_xlabel("seconds since the text was known")
    try:
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=120)
    except OSError as error:
        raise cannot("write", path, error, "choose another place", OutputError) from error
