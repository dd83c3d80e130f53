"""What a listener hears of chunks that arrive in time or late, and a picture of it."""

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
"""Inches, the height for each run."""
COMPUTED: Final = ("#4c72b0", "#8fa9d4")
"""Neighbouring chunks take turns."""
PLAYED: Final = "#55a868"
BUFFERED: Final = "#dd8452"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A chunk that has been computed. Times in seconds, counted from the start of the run, all text known."""

    at: float
    seconds: float
    """Of sound."""
    needed: float
    """Seconds of sound to gather before playing starts (`prebuffer`)."""


@dataclass(slots=True)
class Playback:
    """Sound being heard: when, and how much waits. Time in seconds."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    """From when to when sound plays; what lies between two of them is a gap in the speech."""
    level: list[tuple[float, float]] = field(default_factory=list)
    """Corners of the buffer's level: time, and seconds of sound that wait then."""


def play(arrivals: Sequence[Arrival]) -> Playback:
    """What a loudspeaker without latency would make of `arrivals` under the rule of `prebuffer`."""
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
    """Raise unless a picture can be drawn and written at `path`. Nothing is created."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"{str(path)!r} is no name for a PNG file", "end it with .png")
    check_place(path)
    if find_spec("matplotlib") is None:
        raise MissingError("a picture needs matplotlib, which is not installed", "run: pip install '.[plot]'")


def plot(runs: Mapping[str, Sequence[Arrival]], title: str, path: Path) -> None:
    """Draw each run, by its name, and write the picture to `path`. Raises `OutputError`."""
    from matplotlib.figure import Figure  # pyplot would keep state of its own

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
