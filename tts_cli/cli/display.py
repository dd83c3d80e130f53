"""The live display, the summary and the JSON object of a run, made from its numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tts_cli.cli.text_view import TextView
from tts_cli.engines import Engine, SpeakOptions
from tts_cli.engines.options import values
from tts_cli.engines.registry import AUTO
from tts_cli.metrics import Snapshot, State
from tts_cli.playback import SinkStatus
from tts_cli.printable import harmless
from tts_cli.subtitles.following import Following

_BAR_WIDTH = 24
MEASURED = "measured"
"""The name in `View.chosen` that says whether measurements have decided."""
NARROW = 66
"""Columns that the frame needs with two numbers in a line. Narrower terminals get one."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that the display shows at one moment."""

    engine: str
    voice: str
    mode: str
    precision: str
    """See `Engine.precision`."""
    state: State
    run: Snapshot
    sink: SinkStatus
    following: Following | None = None
    """The text that is heard; None if it is not shown."""
    keys: str = ""
    """What keys do; empty if none are read."""
    repeated: int = 0
    """Segments that were said again from their start, because the process that kept the engine has died."""
    chosen: Mapping[str, object] = field(default_factory=dict)
    """What the engine has chosen of what was left to it; see `Engine.chosen`."""


def render(view: View, width: int) -> RenderableType:
    """The live display for a terminal of so many columns.

    A frame with the numbers, at most 72 columns wide; below it the text that is heard and the line of keys.
    """
    run, sink = view.run, view.sink
    cells: list[tuple[str, str, str, str | Text]] = [
        ("TTFA", milliseconds(run.ttfa), "state", Text(_activity(view), style="bold green")),
        ("RTF", ratio(run.rtf), "spoken", f"{_heard(sink):.1f} s"),
        ("buffered", milliseconds(sink.buffered), "computed", f"{run.sound:.1f} s, {run.chunks} chunks"),
        ("pre-buffer", milliseconds(sink.needed), "starved", _starved(sink.starved_frames)),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    if width < NARROW:
        table.add_column()
        for left, its, right, others in cells:
            table.add_row(left, its)
            table.add_row(right, others)
    else:
        table.add_column(min_width=14)
        table.add_column(style="dim", justify="right")
        table.add_column(min_width=16)
        for row in cells:
            table.add_row(*row)
        if (bar := _bar(sink)) is not None:
            table.add_row("", bar, "", "")
    title = " · ".join(filter(None, ("tts", view.engine, view.voice, view.mode)))
    panel = Panel(table, title=Text(harmless(title)), title_align="left", expand=False, border_style="cyan")
    parts: list[RenderableType] = [panel]
    if view.following is not None:
        parts.append(TextView(view.following))
    if view.keys:
        parts.append(Padding(Text(view.keys, style="dim"), (0, 1)))
    return Group(*parts)


def summary(view: View, destination: str) -> str:
    """One line for the end of a run."""
    run, sink = view.run, view.sink
    parts = [
        _delivered(sink, destination),
        f"TTFA {milliseconds(run.ttfa)}",
        f"RTF {ratio(run.rtf)}",
        f"{run.chunks} chunks",
        f"{view.engine}/{view.voice}",
    ]
    if view.precision:
        parts.append(view.precision)
    if view.chosen:
        parts.append(_chosen(view.chosen))
    if sink.starved_frames:
        parts.insert(3, f"starved {_starved(sink.starved_frames)}")
    if view.repeated:
        parts.insert(1, f"{view.repeated} {'segment' if view.repeated == 1 else 'segments'} said again")
    if run.failed_segments:
        parts.insert(1, f"{run.failed_segments} {'piece' if run.failed_segments == 1 else 'pieces'} not spoken")
    if view.state == "interrupted":
        parts.insert(0, "interrupted")
    return " · ".join(parts)


def report(view: View, characters: int, destination: str) -> dict[str, object]:
    """Make the object that `--json` prints; docs/metrics.md describes its fields.

    Parameters
    ----------
    view
        The last view of the run.
    characters
        Characters of the text.
    destination
        The name of the output; empty for a speaker.

    Returns
    -------
    dict
        Values that JSON can hold, by the names of fields.
    """
    run, sink = view.run, view.sink
    return {
        "state": view.state,
        "mode": view.mode,
        "engine": view.engine,
        "voice": view.voice,
        "precision": view.precision or None,
        "auto": dict(view.chosen) or None,
        "output": destination or "speaker",
        "text_chars": characters,
        "failed_segments": run.failed_segments,
        "repeated_segments": view.repeated,
        "notices": list(run.notices),
        "chunks": run.chunks,
        "ttfa_ms": _ms(run.ttfa),
        "cold_start_ms": _ms(run.cold_start),
        "total_ms": _ms(run.total),
        "compute_ms": _ms(run.computed),
        "audio_ms": _ms(run.sound),
        "delivered_ms": _ms(sink.delivered if destination else _heard(sink)),
        "rtf": None if run.rtf is None else round(run.rtf, 4),
        "longest_gap_ms": _ms(run.longest_gap),
        "starved_frames": sink.starved_frames,
        "device_underflows": sink.device_underflows,
    }


def left_to(engine: Engine, options: SpeakOptions) -> dict[str, object]:
    """What the engine has chosen (`Engine.chosen`), without what `options` ask for. Empty if there is nothing else."""
    asked = {name for name, value in values(options).items() if value != AUTO}
    found = {name: value for name, value in getattr(engine, "chosen", {}).items() if name not in asked}
    return found if found.keys() - {MEASURED} else {}


def _activity(view: View) -> State:
    """The state from the listener's side: if sound plays, that is shown, whatever the engine does."""
    if view.state in ("computing", "finishing"):
        if view.sink.playing:
            return "speaking"
        if view.sink.buffered:
            return "buffering"
    return view.state


def _chosen(values: Mapping[str, object]) -> str:
    """What the engine has chosen, in words such as `auto: cpu, int8, 2 threads, cached (measured)`."""
    others = {name: value for name, value in values.items() if name != MEASURED}
    named = [
        value if isinstance(value, str) else f"{value} {name.removesuffix('s') if value == 1 else name}"
        for name, value in others.items()
    ]
    return f"auto: {', '.join(named)} ({'measured' if values.get(MEASURED) else 'not measured'})"


def _delivered(sink: SinkStatus, destination: str) -> str:
    if not destination:
        return f"{_heard(sink):.1f} s spoken"
    return f"{sink.delivered:.1f} s to {destination}" if sink.delivered else f"nothing written to {destination}"


def _heard(sink: SinkStatus) -> float:
    """Seconds of sound given to the device: what the sink has taken, without what waits in the ring."""
    return max(0.0, sink.delivered - sink.buffered)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def has_live_display(console: Console) -> bool:
    """Whether a display can be drawn again and again where the console prints."""
    return console.is_terminal and not console.is_dumb_terminal and "NO_COLOR" not in os.environ


def milliseconds(seconds: float | None) -> str:
    """A short time, to be read."""
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def ratio(value: float | None) -> str:
    """An RTF, to be read."""
    return "–" if value is None else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _starved(frames: int) -> str:
    return f"{frames} frames"


def _bar(sink: SinkStatus) -> Text | None:
    """How full the ring is; full means the pre-buffer, and at least two seconds. None if the sink does not play."""
    if not sink.rate:
        return None
    full = min(_BAR_WIDTH, round(_BAR_WIDTH * sink.buffered / max(2.0, sink.needed)))
    return Text("█" * full, style="green") + Text("░" * (_BAR_WIDTH - full), style="dim")
