"""Which device is meant, and how it wants to be played on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tts_cli.errors import MissingError, UsageError
from tts_cli.playback import devices
from tts_cli.playback.devices import find_device, list_devices
from tts_cli.playback.opening import open_speaker


class PortAudioError(Exception):
    """What sounddevice raises."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with the given outputs: no card here takes less than everything, so PortAudio's answers are made up."""

    def connect(
        *names: str,
        takes: Callable[[int, int], bool] = lambda rate, channels: True,
        rate: float = 48_000,
        default: int = 0,
    ) -> None:
        def check(index: int, channels: int, dtype: str, samplerate: int) -> None:
            if not takes(samplerate, channels):
                raise PortAudioError

        infos = [
            {"index": i, "name": name, "hostapi": 0, "max_output_channels": 8, "default_samplerate": rate}
            for i, name in enumerate(names)
        ]
        infos.append({"index": 99, "name": "microphone", "hostapi": 0, "max_output_channels": 0})
        module = SimpleNamespace(
            PortAudioError=PortAudioError,
            default=SimpleNamespace(device=(99, default)),
            query_hostapis=lambda: [{"name": "ALSA"}],
            query_devices=lambda: infos,
            check_output_settings=check,
        )
        monkeypatch.setattr(devices, "sounddevice", lambda: module)

    return connect


def test_a_device_that_takes_24_khz_mono_gets_it(machine: Callable[..., None]) -> None:
    machine("Speakers")
    found = find_device(None, 24_000)
    assert (found.name, found.rate, found.channels) == ("Speakers", 24_000, 1)


@pytest.mark.parametrize(
    ("takes", "rate", "channels"),
    [
        (lambda rate, channels: rate == 48_000, 48_000, 1),
        (lambda rate, channels: channels == 2, 24_000, 2),
        (lambda rate, channels: rate == 48_000 and channels == 8, 48_000, 8),
    ],
)
def test_a_device_that_does_not_is_played_on_in_its_own_way(
    machine: Callable[..., None], takes: Callable[[int, int], bool], rate: int, channels: int
) -> None:
    machine("Interface", takes=takes)
    found = find_device(None, 24_000)
    assert (found.rate, found.channels) == (rate, channels)


def test_a_device_that_takes_nothing_is_missing(machine: Callable[..., None]) -> None:
    machine("Broken", takes=lambda rate, channels: False)
    with pytest.raises(MissingError, match="Broken"):
        find_device(None, 24_000)


def test_devices_are_found_by_number_name_and_part(machine: Callable[..., None]) -> None:
    machine("USB Headphones", "HDMI 1", "HDMI 10")
    assert find_device("1", 24_000).name == "HDMI 1"
    assert find_device("headphones", 24_000).name == "USB Headphones"
    assert find_device("HDMI 1", 24_000).index == 1
    with pytest.raises(UsageError, match="1 HDMI 1, 2 HDMI 10"):
        find_device("hdmi", 24_000)
    for absent in ("3", "99", "bluetooth", "²", "٣", "9" * 5000):
        with pytest.raises(UsageError, match="tts devices"):
            find_device(absent, 24_000)


def test_no_output_at_all(machine: Callable[..., None]) -> None:
    machine()
    with pytest.raises(MissingError, match="no audio output"):
        find_device(None, 24_000)


@pytest.mark.parametrize(("default", "name"), [(1, "HDMI"), (-1, "Speakers")])
def test_without_a_name_it_is_the_default_or_else_the_first(
    machine: Callable[..., None], default: int, name: str
) -> None:
    machine("Speakers", "HDMI", default=default)
    assert find_device(None, 24_000).name == name


def test_the_device_with_the_number_0_is_not_the_default(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("Speakers", "HDMI", default=1)
    opened: list[tuple[str, int]] = []
    monkeypatch.setattr("tts_cli.playback.speaker.SpeakerSink", lambda device, rate: opened.append((device.name, rate)))
    open_speaker(0, 24_000)
    open_speaker(None, 16_000)
    assert opened == [("Speakers", 24_000), ("HDMI", 16_000)]


def test_a_rate_just_below_a_whole_number_is_that_number(machine: Callable[..., None]) -> None:
    machine("Clock", rate=44_099.99)
    assert [device.rate for device in list_devices()] == [44_100]
