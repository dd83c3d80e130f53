"""Checks of PortAudio and of the audio outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import numpy as np

from tts_cli.audio import AudioChunk, Samples, as_samples
from tts_cli.errors import OutputError
from tts_cli.finding import Finding, finding
from tts_cli.playback.devices import find_device, list_devices, sounddevice
from tts_cli.playback.opening import open_speaker
from tts_cli.segment import Segment

TONE_HERTZ: Final = 440
TONE_SECONDS: Final = 1.0
TONE_LEVEL: Final = 0.1


def findings(device: str | None, tone: bool, rate: int) -> Iterator[Finding]:
    """Run the checks of this module.

    Parameters
    ----------
    device, tone
        As for `doctor.findings`.
    rate
        Samples a second of the sound that is to be played.

    Yields
    ------
    Finding
        Those of PortAudio, of the output and of the tone.
    """
    portaudio = finding("PortAudio", _portaudio, otherwise="missing")
    yield portaudio
    if portaudio.state != "ok":
        return
    output = finding("audio output", lambda: _output(device, rate), otherwise="missing")
    yield output
    if tone and output.state == "ok":
        yield finding("tone", lambda: _play(device, rate), otherwise="missing")


def _portaudio() -> str:
    return str(sounddevice().get_portaudio_version()[1]).partition(",")[0].removeprefix("PortAudio ")


def _output(wanted: str | None, rate: int) -> str:
    chosen, there = find_device(wanted, rate), len(list_devices())
    resampled = "" if chosen.rate == rate else f", resampled to {chosen.rate} Hz"
    more = f"; {there} outputs in all (tts devices)" if there > 1 else ""
    return f"{chosen.index} {chosen.name} ({chosen.system}){resampled}{more}"


def _play(device: str | None, rate: int) -> str:
    with closing(open_speaker(device, rate)) as speaker:
        speaker.write(AudioChunk(_tone(rate), rate, Segment.of("tone")), 0.0)
        speaker.finish()
        status = speaker.status()
    if status.delivered < TONE_SECONDS:
        raise OutputError("the tone was not played to its end", "choose another output with --output-device")
    return (
        f"{TONE_SECONDS:g} s of {TONE_HERTZ} Hz was played; if you heard nothing, check volume and output (tts devices)"
    )


def _tone(rate: int) -> Samples:
    """A quiet tone that begins and ends in silence."""
    time = np.arange(round(TONE_SECONDS * rate)) / rate
    fade = np.minimum(1, np.minimum(time, TONE_SECONDS - time) / 0.02)
    return as_samples(TONE_LEVEL * fade * np.sin(2 * np.pi * TONE_HERTZ * time))
