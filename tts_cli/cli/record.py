"""What `tts voice record` shows and asks: a text to read, a level meter, and what is wrong with the recording."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from tts_cli.audio import AudioChunk
from tts_cli.errors import TTSError, UsageError
from tts_cli.printable import on_one_line
from tts_cli.recording_quality import LOUD, faults, level
from tts_cli.segment import Segment

if TYPE_CHECKING:
    from tts_cli.audio import Samples
    from tts_cli.playback.devices import Device
    from tts_cli.playback.microphone import Show

SENTENCES: Final = (
    "On the first warm morning of the year, we opened every window and let the house fill with air.",
    "Somebody down the street was trying out a trumpet, one careful note after another.",
    "Would you believe that the cat sat through all of it, and never once looked up?",
    "By noon the kitchen smelled of coffee, oranges and fresh bread.",
    "Nobody had planned a feast, but seven of us stayed for lunch.",
    "When the rain came back, we were still talking.",
)
"""A text with most sounds of English, a question and pauses."""
WORDS_A_SECOND: Final = 2.5
METER_WIDTH: Final = 30
METER_FLOOR: Final = -60.0
"""The level at the left end of the meter, in dB."""


def text_for(seconds: float) -> list[str]:
    """As many sentences as somebody reads in that time, one at least. For a long time, they are repeated."""
    chosen: list[str] = []
    words = 0
    while words < seconds * WORDS_A_SECOND:
        chosen.append(SENTENCES[len(chosen) % len(SENTENCES)])
        words += len(chosen[-1].split())
    return chosen


def take(device: Device, seconds: float, output_device: str | None, replay: bool) -> Samples:
    """Show the text, record, play the recording back, and say what is wrong with it.

    Parameters
    ----------
    device
        The input, as `find_input` returns it.
    seconds
        How much to record.
    output_device
        Where to play it back; None for the system's default.
    replay
        Whether to play it back.

    Returns
    -------
    Samples
        The recording, float32 `[n]`, at the rate of `device`.

    Raises
    ------
    UsageError
        If no voice can be made of the recording, or the user does not want it.
    """
    from tts_cli.playback.microphone import record

    console = Console(stderr=True, highlight=False, markup=False)
    asks = sys.stdin is not None and sys.stdin.isatty() and console.is_terminal
    console.print(f"Recording from {on_one_line(device.name)} for {seconds:g} s. Read this aloud, calmly:\n")
    for sentence in text_for(seconds):
        console.print(f"    {sentence}")
    console.print()
    if asks:
        _answer(console, "Press Enter, then read. ")
    with _meter(console, seconds) as show:
        samples = record(device, seconds, show)
    found = faults(samples, device.rate)
    for fault in found:
        console.print(f"{'✗' if fault.fatal else '!'} {fault.message}")
    if any(fault.fatal for fault in found):
        raise UsageError("no voice can be made of this recording", "record it again")
    if not found:
        console.print("✓ loud enough, clear, and no noise")
    if replay:
        _play(samples, device.rate, output_device, console)
    if asks and _answer(console, "Make a voice of it? [Y/n] ").lower().startswith("n"):
        raise _given_up()
    return samples


def _answer(console: Console, question: str) -> str:
    try:
        return console.input(question).strip()
    except EOFError as error:
        raise _given_up() from error


def _given_up() -> UsageError:
    return UsageError("nothing was stored", "record it again")


@contextmanager
def _meter(console: Console, seconds: float) -> Iterator[Show]:
    """A function that shows the level, on a terminal."""
    if not console.is_terminal or console.is_dumb_terminal or console.no_color:
        yield lambda _new, _seconds: None
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda new, done: live.update(meter(new, seconds - done), refresh=True)


def meter(new: Samples, left: float) -> Text:
    """A bar with the level of the newest samples, and the seconds that are left."""
    loud = level(new)
    filled = round(METER_WIDTH * min(1.0, max(0.0, 1 - loud / METER_FLOOR)))
    clipping = bool(len(new)) and float(abs(new).max()) >= LOUD
    style = "red" if clipping else "yellow" if loud > -9 else "green"
    bar = Text("█" * filled, style=style) + Text("░" * (METER_WIDTH - filled), style="dim")
    return bar + Text(f" {loud:4.0f} dB  {left:4.1f} s" + ("  too loud" if clipping else ""))


def _play(samples: Samples, rate: int, device: str | None, console: Console) -> None:
    from tts_cli.playback.opening import open_speaker

    console.print("Playing it back.")
    try:
        with closing(open_speaker(device, rate)) as speaker:
            speaker.write(AudioChunk(samples, rate, Segment.of("recording")), 0.0)
            speaker.finish()
    except TTSError as error:
        console.print(f"tts: it cannot be played back: {on_one_line(str(error))}", soft_wrap=True)
