"""Audio devices as PortAudio lists them. Only this module and `tts_cli.player.process` import sounddevice."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Final

from tts_cli.checks import read_whole
from tts_cli.errors import MissingError, UsageError

INSTALL_PORTAUDIO: Final = "install it (Debian: apt-get install libportaudio2) or write a file with -o speech.wav"


@dataclass(frozen=True, slots=True)
class Device:
    """An output device.

    `list_devices` fills `rate` and `channels` with the device's default rate and the most channels it has;
    `find_device` with those to open it with.
    """

    index: int
    name: str
    system: str
    channels: int
    rate: int
    default: bool


def sounddevice() -> ModuleType:
    """The sounddevice module, imported at the first call. Raises `MissingError` if PortAudio is not installed."""
    try:
        return importlib.import_module("sounddevice")
    except OSError as error:
        raise MissingError(f"PortAudio, which plays sound, is missing ({error})", INSTALL_PORTAUDIO) from error


def list_devices() -> list[Device]:
    """Every output device, in PortAudio's order."""
    sd = sounddevice()
    systems = sd.query_hostapis()
    default = sd.default.device[1]
    return [
        Device(
            index=info["index"],
            name=info["name"],
            system=systems[info["hostapi"]]["name"],
            channels=info["max_output_channels"],
            rate=round(info["default_samplerate"]),
            default=info["index"] == default,
        )
        for info in sd.query_devices()
        if info["max_output_channels"] > 0
    ]


def find_device(wanted: str | None, rate: int) -> Device:
    """Find an output device.

    Parameters
    ----------
    wanted
        Its number, its name or a part of its name; None for the system's default.
    rate
        Samples a second of the sound.

    Returns
    -------
    Device
        With the rate and the channels to open it with: `rate` if the device accepts it, otherwise its own rate; mono if
        it accepts that, otherwise as many channels as it requires.

    Raises
    ------
    UsageError
        If the name fits no device, or several.
    MissingError
        If there is no device, or none of its formats works.
    """
    devices = list_devices()
    if not devices:
        raise MissingError("this machine has no audio output", "write a file instead: -o speech.wav")
    return _playable(matching(devices, wanted, "output", "`tts devices` lists them"), rate)


def matching(devices: list[Device], wanted: str | None, kind: str, remedy: str) -> Device:
    """Find the device that a user names.

    Parameters
    ----------
    devices
        The devices to choose from.
    wanted
        A number, a name or a part of a name; None for the default.
    kind
        What the message calls such a device: `input` or `output`.
    remedy
        What lists the devices.

    Returns
    -------
    Device
        One of `devices`.

    Raises
    ------
    UsageError
        If `wanted` fits no device, or several.
    """
    if wanted is None:
        fits = [device for device in devices if device.default] or devices[:1]
    elif (number := read_whole(wanted)) is not None:
        fits = [device for device in devices if device.index == number]
    else:
        fits = [device for device in devices if device.name == wanted] or [
            device for device in devices if wanted.lower() in device.name.lower()
        ]
    if not fits:
        raise UsageError(f"there is no {kind} device {wanted!r}", remedy)
    if len(fits) > 1:
        names = ", ".join(f"{device.index} {device.name}" for device in fits)
        raise UsageError(f"{wanted!r} fits several {kind} devices ({names})", "choose one by its number")
    return fits[0]


def _playable(device: Device, rate: int) -> Device:
    for chosen in (rate, device.rate):
        for channels in sorted({1, min(2, device.channels), device.channels}):
            if _takes(device, chosen, channels):
                return replace(device, rate=chosen, channels=channels)
    raise MissingError(
        f"the audio device {device.name!r} cannot be opened", "try another one (`tts devices`), or -o speech.wav"
    )


def _takes(device: Device, rate: int, channels: int) -> bool:
    sd = sounddevice()
    try:
        sd.check_output_settings(device.index, channels, "float32", samplerate=rate)
    except sd.PortAudioError:
        return False
    return True
