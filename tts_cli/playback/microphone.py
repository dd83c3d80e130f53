"""Records from an audio input, for `tts voice record`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any, Final

import numpy as np

from tts_cli.audio import Samples, as_samples
from tts_cli.errors import MissingError, OutputError
from tts_cli.playback.devices import Device, matching, sounddevice

CLOSING_SECONDS: Final = 1.2
"""How long to wait for a device to close."""
LOST_SECONDS: Final = 5.0
"""An input that has given no sound for so long counts as lost. A sound server may have to wake it first."""
LOOK_SECONDS: Final = 0.05
"""Seconds from one look at what was recorded to the next."""

Show = Callable[[Samples, float], None]
"""Called with the samples that are new, and with how many seconds have been recorded."""


def list_inputs() -> list[Device]:
    """Every input device, in PortAudio's order, with its default rate and the most channels it has."""
    sd = sounddevice()
    systems = sd.query_hostapis()
    default = sd.default.device[0]
    return [
        Device(
            index=info["index"],
            name=info["name"],
            system=systems[info["hostapi"]]["name"],
            channels=info["max_input_channels"],
            rate=round(info["default_samplerate"]),
            default=info["index"] == default,
        )
        for info in sd.query_devices()
        if info["max_input_channels"] > 0
    ]


def find_input(wanted: str | None, rate: int) -> Device:
    """Find an input device.

    Parameters
    ----------
    wanted
        Its number, its name or a part of its name; None for the system's default.
    rate
        Samples a second that are wished for.

    Returns
    -------
    Device
        With the rate and the channels to open it with.

    Raises
    ------
    UsageError
        If the name fits no device, or several.
    MissingError
        If there is no device, or none of its formats works.
    """
    devices = list_inputs()
    if not devices:
        raise MissingError("this machine has no audio input", "connect a microphone, or use: tts voice cache FILE")
    device = matching(devices, wanted, "input", "`tts devices --inputs` lists them")
    for chosen in (rate, device.rate):
        for channels in sorted({1, min(2, device.channels)}):
            if _gives(device, chosen, channels):
                return replace(device, rate=chosen, channels=channels)
    raise _cannot_open(device)


def record(device: Device, seconds: float, show: Show = lambda _new, _seconds: None) -> Samples:
    """Record for some seconds. An interrupt ends it at once, and gives the device back.

    Parameters
    ----------
    device
        As `find_input` returns it.
    seconds
        How much to record.
    show
        Called many times a second.

    Returns
    -------
    ndarray
        Mono, at the device's rate, float32 `[n]`.

    Raises
    ------
    MissingError
        If the device cannot be opened.
    OutputError
        If it stops giving sound.
    """
    sd, needed = sounddevice(), round(seconds * device.rate)
    blocks: list[Samples] = []
    came, count = threading.Event(), 0

    def callback(data: Any, frames: int, when: Any, status: Any) -> None:  # noqa: ARG001
        nonlocal count
        if count < needed:
            blocks.append(np.frombuffer(data, np.float32).reshape(frames, -1).mean(axis=1))
            count += frames
            came.set()

    try:
        stream = sd.RawInputStream(
            samplerate=device.rate,
            device=device.index,
            channels=device.channels,
            dtype="float32",
            callback=callback,
        )
        stream.start()
    except sd.PortAudioError as error:
        raise _cannot_open(device) from error
    try:
        shown, latest = 0, monotonic()
        while count < needed:
            if came.wait(LOOK_SECONDS):
                came.clear()
                latest = monotonic()
                new, shown = blocks[shown:], len(blocks)
                show(np.concatenate(new) if new else np.zeros(0, np.float32), min(count, needed) / device.rate)
            elif monotonic() - latest > LOST_SECONDS:
                raise OutputError(
                    f"the audio device {device.name!r} gives no sound",
                    "is it still connected? `tts devices --inputs` lists what is",
                )
    finally:
        _give_back(stream)
    return as_samples(np.concatenate(blocks)[:needed])


def _give_back(stream: Any) -> None:
    """Close the stream in a thread, because that may never return when the device is lost."""

    def close() -> None:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)

    thread = threading.Thread(target=close, name="close audio device", daemon=True)
    thread.start()
    thread.join(CLOSING_SECONDS)


def _gives(device: Device, rate: int, channels: int) -> bool:
    sd = sounddevice()
    try:
        sd.check_input_settings(device.index, channels, "float32", samplerate=rate)
    except sd.PortAudioError:
        return False
    return True


def _cannot_open(device: Device) -> MissingError:
    return MissingError(
        f"the audio device {device.name!r} cannot be opened", "try another one with --input-device (a number)"
    )
