"""Compare ways to change the pace of speech without changing its pitch, by measures that need no ear.

Twenty sentences of the built-in voice are stretched, whole and in chunks of 40 ms. Those of the libraries are left out
that are not installed; `pip install python-stretch pylibrb libsonic audiotsm` brings all. Needs pocketsphinx:

    python scripts/compare_stretchers.py [--speeds 0.8,1.25,1.5] [--method tts]

- F0: how far the pitch is from that of the same place before, in cents: the median, and the median of its size.
- WER: errors of PocketSphinx, which knows no sentence beforehand, for 100 words.
- Held back: the most sound, in ms of what comes out, that was taken and not yet given.
- Length: how far the length is from the sound's own over the speed.
- Streamed: whether the samples are those of the sound stretched whole, in samples that differ.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Final, Protocol

import numpy as np
import soxr
from check_subtitles import SENTENCES

import tts_cli
from tts_cli.audio import Samples, as_samples, to_pcm16
from tts_cli.engines.chatterbox import SAMPLE_RATE
from tts_cli.engines.chatterbox.proof.pitch import pitch
from tts_cli.shaping.stretch import Stretcher

BLOCK: Final = SAMPLE_RATE // 25


class _Method(Protocol):
    """A stretcher as this script uses it."""

    def add(self, samples: Samples) -> Samples: ...

    def finish(self) -> Samples: ...


class _RubberBand:
    """Rubber Band's faster engine in its real-time mode, through pylibrb."""

    def __init__(self, speed: float) -> None:
        import pylibrb

        options = pylibrb.Option.PROCESS_REALTIME | pylibrb.Option.ENGINE_FASTER
        self._stretcher = pylibrb.RubberBandStretcher(SAMPLE_RATE, 1, options, 1 / speed, 1.0)
        self._speed, self._taken, self._given = speed, 0, 0
        self._stretcher.set_max_process_size(SAMPLE_RATE)
        self._stretcher.process(np.zeros((1, self._stretcher.get_preferred_start_pad()), np.float32))
        self._skip = self._stretcher.get_start_delay()

    def add(self, samples: Samples) -> Samples:
        self._taken += len(samples)
        if len(samples):
            self._stretcher.process(np.ascontiguousarray(samples[None]))
        return self._got()

    def finish(self) -> Samples:
        self._stretcher.process(np.zeros((1, 4096), np.float32), final=True)
        return self._got()[: round(self._taken / self._speed) - self._given]

    def _got(self) -> Samples:
        found = as_samples(self._stretcher.retrieve_available()[0])
        skipped = min(self._skip, len(found))
        self._skip -= skipped
        self._given += len(found) - skipped
        return found[skipped:]


class _Sonic:
    """Sonic, which repeats and leaves out periods of the pitch, through libsonic."""

    def __init__(self, speed: float) -> None:
        import libsonic

        self._stream = libsonic.SonicStream(SAMPLE_RATE, 1)
        self._stream.set_speed(speed)

    def add(self, samples: Samples) -> Samples:
        self._stream.write(samples.tolist())
        return as_samples(self._stream.read(self._stream.available_frames()))

    def finish(self) -> Samples:
        self._stream.flush()
        return as_samples(self._stream.read(self._stream.available_frames()))


class _Signalsmith:
    """Signalsmith Stretch through python-stretch, whose `process` begins and ends a sound with every call."""

    def __init__(self, speed: float) -> None:
        import python_stretch

        self._stretch = python_stretch.Signalsmith.Stretch(7)
        self._stretch.preset(1, SAMPLE_RATE)
        self._stretch.timeFactor = speed

    def add(self, samples: Samples) -> Samples:
        if not len(samples):
            return samples
        return as_samples(self._stretch.process(np.ascontiguousarray(samples[None]))[0])

    def finish(self) -> Samples:
        return np.zeros(0, np.float32)


class _AudioTsm:
    """The WSOLA of audiotsm, with the same lengths as ours."""

    def __init__(self, speed: float) -> None:
        import audiotsm
        from audiotsm.io.array import ArrayReader, ArrayWriter

        self._reader, self._writer = ArrayReader, ArrayWriter
        self._tsm = audiotsm.wsola(1, speed=speed, frame_length=480, tolerance=168)

    def add(self, samples: Samples) -> Samples:
        reader, writer, done = self._reader(samples[None]), self._writer(1), False
        while not (done and reader.empty):
            self._tsm.read_from(reader)
            done = self._tsm.write_to(writer)[1]
        return as_samples(writer.data[0])

    def finish(self) -> Samples:
        writer = self._writer(1)
        while not self._tsm.flush_to(writer)[1]:
            pass
        return as_samples(writer.data[0])


METHODS: Final[dict[str, tuple[str, Callable[[float], _Method]]]] = {
    "tts": ("tts_cli", lambda speed: Stretcher(SAMPLE_RATE, speed)),
    "Signalsmith Stretch": ("python_stretch", _Signalsmith),
    "Rubber Band": ("pylibrb", _RubberBand),
    "Sonic": ("libsonic", _Sonic),
    "audiotsm": ("audiotsm", _AudioTsm),
}


def stretched(method: _Method, sound: Samples, block: int) -> tuple[Samples, list[tuple[int, int]]]:
    """The result, and how many samples were taken and given after each block."""
    out, taken, given, steps = [], 0, 0, []
    for start in range(0, len(sound), block):
        part = sound[start : start + block]
        out.append(method.add(part))
        taken, given = taken + len(part), given + len(out[-1])
        steps.append((taken, given))
    return np.concatenate([*out, method.finish()]), steps


def shift(before: Samples, after: Samples, speed: float) -> Any:
    """For each frame with a pitch, how far it is from that of the same place, in cents."""
    one, two = pitch(before, SAMPLE_RATE), pitch(after, SAMPLE_RATE)
    places = ((np.arange(len(two)) + 0.5) * speed - 0.5).round().astype(int).clip(0, len(one) - 1)
    cents = 1200 * np.log2(two / one[places])
    return cents[~np.isnan(cents)]


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", "", text.lower()).split()


def heard(sound: Samples) -> list[str]:
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(to_pcm16(soxr.resample(sound, SAMPLE_RATE, 16_000)).tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return str(found.hypstr).split() if found else []


def edits(one: list[str], two: list[str]) -> int:
    """Words to replace, add or leave out to make `two` of `one`."""
    row = list(range(len(two) + 1))
    for count, word in enumerate(one, 1):
        before, row[0] = row[0], count
        for place, other in enumerate(two, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


def error_rate(sounds: list[Samples]) -> float:
    wrong = sum(edits(words(text), heard(sound)) for text, sound in zip(SENTENCES, sounds, strict=True))
    return 100 * wrong / sum(len(words(text)) for text in SENTENCES)


def row(name: str, make: Callable[[float], _Method], takes: list[Samples], speed: float) -> str:
    began = time.perf_counter()
    found = [stretched(make(speed), take, BLOCK) for take in takes]
    spent = time.perf_counter() - began
    sounds = [sound for sound, _ in found]
    wholes = [stretched(make(speed), take, len(take))[0] for take in takes]
    differ = sum(
        abs(len(one) - len(two)) + int((one[: len(two)] != two[: len(one)]).sum())
        for one, two in zip(sounds, wholes, strict=True)
    )
    held = max(1000 * (taken / speed - given) / SAMPLE_RATE for _, steps in found for taken, given in steps)
    off = max(
        1000 * abs(len(sound) - len(take) / speed) / SAMPLE_RATE for sound, take in zip(sounds, takes, strict=True)
    )
    cents = np.concatenate([shift(take, sound, speed) for take, sound in zip(takes, sounds, strict=True)])
    rtf = spent / sum(map(len, sounds)) * SAMPLE_RATE
    return (
        f"| {name} | {speed:g} | {np.median(cents):+.1f} ({np.median(np.abs(cents)):.0f}) | {error_rate(sounds):.1f} | "
        f"{held:.0f} ms | {off:.1f} ms | {'yes' if not differ else f'{differ} differ'} | {rtf:.4f} |"
    )


def rows(speeds: list[float], names: list[str]) -> Iterator[str]:
    with tts_cli.load("builtin") as session:
        takes = {
            speed: [
                np.concatenate([chunk.samples for chunk in session.stream(text, speed=speed)]) for text in SENTENCES
            ]
            for speed in [1.0, *speeds]
        }
    for speed, sounds in takes.items():
        yield f"| the voice's own | {speed:g} | | {error_rate(sounds):.1f} | | | | |"
    for name in names:
        package, make = METHODS[name]
        if find_spec(package) is not None:
            for speed in speeds:
                yield row(name, make, takes[1.0], speed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--method", choices=METHODS, help="only this one")
    parser.add_argument("--speeds", default="0.8,1.25,1.5", help="with commas between them")
    given = parser.parse_args()
    speeds = [float(each) for each in given.speeds.split(",")]
    print("| | speed | F0, cents | WER | held back | length | streamed | RTF |")
    print("|---|---|---|---|---|---|---|---|")
    for line in rows(speeds, [given.method] if given.method else list(METHODS)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
