"""Make the sounds and pictures of docs/show/: how strategies sound, when chunks are heard, and what a join looks like.

    python scripts/make_show.py [--model-dir DIR] [--random-size tiny|full] [--out DIR]

With the released weights in DIR, they speak. Without, random weights are made (`scripts/make_checkpoint.py`): then
the sound is noise, and only its joins and its times say something. A tiny checkpoint takes seconds, a full one minutes.
Needs matplotlib and Chatterbox's packages.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np

import tts_cli
from tts_cli.audio import TOKEN_RATE, AudioChunk, Samples, as_samples
from tts_cli.measure.bench import TEXT, bench
from tts_cli.measure.timeline import Arrival, plot
from tts_cli.playback.file import FileSink
from tts_cli.segment import Segment
from tts_cli.session import Session
from tts_cli.shaping.stretch import Stretcher

SCRIPTS: Final = Path(__file__).resolve().parent
STRATEGIES: Final = ("independent", "overlap", "context", "cached")
TOKENS: Final = 75
"""Three seconds of sound."""
CHUNK: Final = 25
RUNS: Final = 4
AROUND: Final = 0.12
"""Seconds before and after a join that are drawn."""
FORMAT: Final = ".ogg"


@dataclass(frozen=True)
class Take:
    """A sound, and where chunks meet in it."""

    samples: Samples
    joins: list[int]


def take(session: Session, text: str = TEXT, **options: Any) -> Take:
    """Speak."""
    pieces = [chunk.samples for chunk in session.stream(text, **options)]
    return Take(np.concatenate(pieces), list(accumulate(len(piece) for piece in pieces))[:-1])


def write(path: Path, samples: Samples, rate: int) -> None:
    """Write a sound file."""
    sink = FileSink(path, rate)
    try:
        sink.write(AudioChunk(as_samples(samples), rate, Segment.of(TEXT)), 0.0)
        sink.finish()
    finally:
        sink.close()
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {len(samples) / rate:.1f} s")


def draw_joins(takes: Mapping[str, Take], place: int, rate: int, path: Path) -> None:
    """Draw sounds around a join: as samples, and as spectrograms.

    Parameters
    ----------
    takes
        The sounds, by their names.
    place
        About where: of each sound, the join that is nearest is drawn; of one without joins, the place itself.
    rate
        Samples a second.
    path
        The PNG file.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    reach, window, hop = round(AROUND * rate), rate // 80, rate // 400
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots(2, len(takes), sharex=True, sharey="row", squeeze=False)
    for number, ((name, each), wave, image) in enumerate(zip(takes.items(), axes[0], axes[1], strict=True)):
        join = min(each.joins, key=lambda at: abs(at - place), default=place)
        part = each.samples[join - reach - window // 2 : join + reach + window // 2].astype(np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(part, window)[::hop] * np.hanning(window)
        levels = 20 * np.log10(np.abs(np.fft.rfft(frames)) / window + 1e-6)
        times = 1000 * np.arange(-reach, reach) / rate
        wave.plot(times, part[window // 2 :][: 2 * reach], linewidth=0.5)
        wave.set_title(name if each.joins else f"{name}, no join", fontsize="medium")
        extent = (times[0], times[-1], 0, rate / 2000)
        shown = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "magma"}
        image.imshow(levels.T, extent=extent, vmin=levels.max() - 60, **shown)
        for axis in (wave, image) if each.joins else ():
            axis.axvline(0, color="tab:cyan", linewidth=0.8, linestyle="--")
        image.set_xlabel("ms from the join")
        if not number:
            wave.set_ylabel("samples")
            image.set_ylabel("kHz")
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def fastest(session: Session, options: Mapping[str, Any], strategy: str | None = None) -> dict[str, Sequence[Arrival]]:
    """When the chunks arrive, by the name of the way: in the fastest run: other programs are in the way, too."""
    found: dict[str, Sequence[Arrival]] = {}
    for number in range(RUNS):
        for row in bench(session, session.options(options), TEXT, strategy, runs=1, warmup=int(number == 0)):
            before = found.get(row.way)
            if before is None or row.arrivals[-1].at < before[-1].at:
                found[row.way] = row.arrivals
    return found


def show_builtin(out: Path) -> None:
    """The built-in voice: its sound, its pace, and when its chunks are heard."""
    with tts_cli.load("builtin") as session:
        rate = session.engine.sample_rate
        own = take(session).samples
        write(out / f"heart{FORMAT}", own, rate)
        write(out / f"heart-own-pace{FORMAT}", take(session, speed=1.5).samples, rate)
        stretcher = Stretcher(rate, 1.5)
        write(out / f"heart-stretched{FORMAT}", np.concatenate([stretcher.add(own), stretcher.finish()]), rate)
        write(out / f"heart-normalized{FORMAT}", take(session, normalize=True).samples, rate)
        arrivals = fastest(session, {}) | fastest(session, {"mode": "simple"})
        plot(arrivals, "the built-in voice", out / "timeline-heart.png")


def show_chatterbox(out: Path, weights: Path, size: str) -> None:
    """Chatterbox: the same sentence by each strategy, when its chunks are heard, and one join.

    Parameters
    ----------
    out
        Where to write.
    weights
        The checkpoint.
    size
        The size of random weights; empty for released ones.
    """
    options: dict[str, Any] = {"chunk": CHUNK, "seed": 0} | ({"tokens": TOKENS} if size else {})
    about = f"Chatterbox, {size} random weights" if size else "Chatterbox"
    with tts_cli.load("chatterbox", model_dir=weights, watermark=False) as session:
        rate = session.engine.sample_rate
        takes = {name: take(session, strategy=name, **options) for name in STRATEGIES}
        whole = Take(take(session, mode="simple", **options).samples, [])
        for name, each in takes.items():
            write(out / f"chatterbox-{name}{FORMAT}", each.samples, rate)
        write(out / f"chatterbox-whole{FORMAT}", whole.samples, rate)
        drawn = {name: takes[name] for name in ("independent", "context", "cached")} | {"whole": whole}
        draw_joins(drawn, CHUNK * rate // TOKEN_RATE, rate, out / "join.png")
        plot(fastest(session, options, "all"), about, out / "timeline-chatterbox.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model-dir", type=Path, help="weights of Chatterbox")
    parser.add_argument("--random-size", choices=("tiny", "full"), default="full", help="of the random weights")
    parser.add_argument("--random", action="store_true", help="the weights in --model-dir are random")
    parser.add_argument("--out", type=Path, default=SCRIPTS.parent / "docs" / "show")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    show_builtin(given.out)
    if given.model_dir is not None:
        show_chatterbox(given.out, given.model_dir, given.random_size if given.random else "")
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "weights")
        command = [sys.executable, str(SCRIPTS / "make_checkpoint.py"), str(made), "--size", given.random_size]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        show_chatterbox(given.out, made, given.random_size)


if __name__ == "__main__":
    main()
