"""Plays sound on a device: a ring between the engine and an output."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Final

import numpy as np

from tts_cli.audio import AudioChunk, Samples, as_samples
from tts_cli.errors import MissingError, OutputError
from tts_cli.playback import CHECK_SECONDS, Heard, Sink, SinkStatus
from tts_cli.playback.device_stream import DeviceStream, StreamError
from tts_cli.playback.devices import Device
from tts_cli.playback.output import Output
from tts_cli.playback.placement import Placement
from tts_cli.playback.playout import Playout
from tts_cli.playback.ring import Ring

CAPACITY_SECONDS: Final = 60
"""How much sound may wait in the ring: 5.8 MB at 24 kHz."""
HISTORY_SECONDS: Final = 60
"""How much played sound the ring stores, and so how far `skip` reaches back."""
SERVER_SECONDS: Final = 0.3
"""Sound that a sound server may buffer in addition to the device. The last sample may be heard that much later."""
POLL_SECONDS: Final = 0.01
"""Seconds from one look for room in the ring to the next."""
DEAD_SECONDS: Final = 1.2
"""A device that has not asked for sound for so long counts as lost."""
WAKING_SECONDS: Final = 5
"""The same until it has asked for more than it buffers: a sound server may have to wake it, as with Bluetooth."""
LAST_SECONDS: Final = 0.5
"""How long to wait for a lost device to close, which may never happen. The error message comes after this wait."""


class _Pulse:
    """Decides whether a device still asks for sound, for a thread that looks every `interval` seconds.

    It counts looks and not time: a clock would go on while the process is stopped (Ctrl-Z) or the machine is paused.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._asked = 0
        self._unanswered = 0

    def beats(self, asked: int, buffered: float) -> bool:
        """Look once. Returns False if the device is lost.

        Parameters
        ----------
        asked
            How many frames the device has asked for so far.
        buffered
            How many it asks for before it plays.
        """
        self._unanswered = 0 if asked != self._asked else self._unanswered + 1
        self._asked = asked
        return self._unanswered * self._interval < (DEAD_SECONDS if asked > buffered else WAKING_SECONDS)


class SpeakerSink(Sink):
    """Plays sound on a device.

    Parameters
    ----------
    device
        The device, as `find_device` returns it.
    rate
        Samples a second of the sound that is written. It is resampled if the device has another rate.

    Raises
    ------
    MissingError
        If the device cannot be opened.
    """

    def __init__(self, device: Device, rate: int) -> None:
        self._device = device
        self._rate = rate
        self._ring = Ring(CAPACITY_SECONDS * device.rate, HISTORY_SECONDS * device.rate)
        self._playout = Playout(self._ring, device.rate)
        self._seen_by_writer, self._seen_by_watcher = _Pulse(POLL_SECONDS), _Pulse(CHECK_SECONDS)
        self._interrupted = threading.Event()
        self._gone = False
        self._stopping = threading.Lock()
        self._needed = 0.0
        self._resampler = _resampler(rate, device.rate)
        self._held_back = False  # whether the resampler holds samples back
        self._placement = Placement(self._ring, device.rate)
        self._output = Output(_stream(device), self._playout, device.rate)

    def write(self, chunk: AudioChunk, needed: float) -> None:
        """Clip and resample the chunk, and wait until all of it is in the ring."""
        self._needed = needed
        # Text that comes after a wait gathers a pre-buffer of its own.
        needed = max(needed + self._output.reserve, self._output.at_once)
        self._playout.needed = round(min(needed * self._device.rate, self._ring.capacity // 2))
        self._playout.draining = False
        self._put(self._resampled(np.clip(chunk.samples, -1.0, 1.0)), chunk.segment.number)

    def _put(self, samples: Samples, segment: int) -> None:
        """Place samples of a segment in the ring, unless the listener has skipped it."""
        self._placement.add(samples, segment)
        self._place()

    def _place(self) -> None:
        """Wait until everything that was added is in the ring."""
        while not self._placement.place() and not self._interrupted.is_set():
            self._playout.needed = 0  # the ring is full: play, however much was to be gathered
            self._wait()

    def _resampled(self, samples: Samples) -> Samples:
        if self._resampler is None:
            return samples
        self._held_back = True
        return as_samples(self._resampler.resample_chunk(samples))

    def _put_what_is_held_back(self) -> None:
        """Place what the resampler's filter holds back, about 30 ms. The next sound gets a new resampler."""
        if not self._held_back:
            return
        rest = as_samples(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        self._resampler = _resampler(self._rate, self._device.rate)
        self._held_back = False
        self._put(rest, self._placement.segment)

    def text_pending(self) -> None:
        """Play what was written, to the last sample."""
        self._put_what_is_held_back()
        self._placement.end()
        self._place()
        self._playout.draining = True

    def pause(self) -> bool:
        """Fade out, as soon as the output can. The ring keeps its sound."""
        self._playout.paused = True
        self._output.steer()
        return True

    def resume(self) -> None:
        """Fade in with the sample after the last one that was played."""
        self._playout.paused = False
        self._output.steer()

    def skip(self, by: int) -> int | None:
        """See `Sink.skip`. Sound that was played more than `HISTORY_SECONDS` ago cannot be played again."""
        number = self._placement.skip(by)
        self._output.steer()
        return number

    def seek(self, place: Heard) -> bool:
        """See `Sink.seek`."""
        found = self._placement.seek(place)
        self._output.steer()
        return found

    def adjust(self, speed: float, decibels: float) -> bool:
        """See `Sink.adjust`. It is heard after `MARGIN_SECONDS` and what the device has buffered."""
        self._placement.change(speed, decibels)
        return True

    def finish(self) -> None:
        """Play to the last sample. Raises `OutputError` if the device stops asking for sound."""
        self.text_pending()
        # The output and the device still store the last samples, and `Output.stop` drops them. They have been
        # heard when the device has asked for as much silence after them as it can buffer, however long that takes.
        heard = self._output.asked + self._buffered
        while not self._interrupted.is_set():
            if not self._placement.place() or self._ring.available or self._ring.moving:
                heard = self._output.asked + self._buffered
            elif self._output.asked >= heard:
                self._guarded(self._output.stop)
                return
            self._wait()

    def play_out(self) -> None:
        """The same as `finish`: everything that was written is heard."""
        self.finish()

    @property
    def _buffered(self) -> float:
        """How many frames the device and a sound server can buffer."""
        return float(self._output.latency + SERVER_SECONDS) * self._device.rate

    def _wait(self) -> None:
        self._raise_if_lost(self._seen_by_writer)
        self._interrupted.wait(POLL_SECONDS)

    def check(self) -> None:
        """Raise `OutputError` if the device has stopped asking for sound."""
        if not self._interrupted.is_set():
            self._placement.place()  # sound that was made slower waits for room while nothing is written
            self._raise_if_lost(self._seen_by_watcher)

    def _raise_if_lost(self, pulse: _Pulse) -> None:
        if not pulse.beats(self._output.asked, self._buffered) or not self._output.active:
            self._gone = True
            raise self._lost()

    def _lost(self) -> OutputError:
        why = f" ({self._output.failure})" if self._output.failure else ""
        return OutputError(
            f"the audio device {self._device.name!r} has stopped playing{why}",
            "is it still connected? `tts devices` lists what is",
        )

    def interrupt(self) -> None:
        """Drop what the ring and the device have buffered, and play no more."""
        self._playout.cut = True
        self._interrupted.set()
        with contextlib.suppress(OutputError):  # a lost device is silent, too
            self._guarded(self._output.abort)

    def close(self) -> None:
        """Stop at once and give the device back."""
        self._interrupted.set()
        self._guarded(self._output.stop)

    def _guarded(self, call: Any) -> None:
        """Run `call` in a thread, because calls into the system may never return when a device is lost."""
        failure: list[BaseException] = []

        def run() -> None:
            try:
                with self._stopping:
                    call()
            except Exception as error:  # noqa: BLE001  whatever it raises, the device is lost
                failure.append(error)

        thread = threading.Thread(target=run, name="close audio device", daemon=True)
        thread.start()
        thread.join(LAST_SECONDS if self._gone else DEAD_SECONDS)
        if failure or thread.is_alive():
            raise self._lost()

    def status(self) -> SinkStatus:
        """How delivery stands."""
        rate = self._device.rate
        return SinkStatus(
            delivered=(self._playout.played_frames + self._ring.available) / rate,
            playing=self._playout.playing,
            buffered=self._ring.available / rate,
            needed=self._needed,
            starved_frames=self._playout.starved_frames,
            device_underflows=self._output.underflows,
            rate=rate,
            heard=self._placement.heard(self._output.waiting),
        )


def _resampler(rate: int, device_rate: int) -> Any:
    if rate == device_rate:
        return None
    import soxr

    return soxr.ResampleStream(rate, device_rate, 1, dtype="float32")


def _stream(device: Device) -> DeviceStream:
    """What plays on the device. Raises `MissingError` if the device cannot be opened."""
    if device.system == "ALSA":
        from tts_cli.playback.alsa import is_sound_server

        if is_sound_server(device.name):
            from tts_cli.playback.pulse_stream import PulseStream

            with contextlib.suppress(StreamError):  # PortAudio says what is wrong, or gets through
                return PulseStream(device.rate)
    from tts_cli.playback.process_stream import ProcessStream

    try:
        return ProcessStream(device)
    except StreamError as error:
        raise MissingError(
            f"the audio device {device.name!r} cannot be opened ({error})",
            "try another one (`tts devices`), or write a file with -o speech.wav",
        ) from error
