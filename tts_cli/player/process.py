"""What runs in the process that plays: a PortAudio stream, fed from the socket that is its standard input."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tts_cli.player import wire
from tts_cli.player.buffer import PlayBuffer

LATENCY_SECONDS: Final = 0.03
"""Sound that the device should store. A pause is heard that much later. This process may be without processor time that
long.

docs/lab/playback.md has the measurements."""
MOST_SECONDS: Final = 0.15
"""What it should store at most. That is doubled when the device has run dry a second time: once may be chance."""
BUFFER_SECONDS: Final = 4
"""Sound that may wait here, for devices that take much at once."""
REPORT_SECONDS: Final = 0.005
"""How much the device takes before that is reported."""
LOOK_SECONDS: Final = 0.2
"""After so long without a callback, this process looks whether the stream has ended."""
CALL_SECONDS: Final = 10.0
"""How long PortAudio may take to open the device or to let it play to its end. The process is then killed."""
END_SECONDS: Final = 0.2
"""How long it may take to give the device back at the end."""


class Player:
    """Plays on one device.

    Parameters
    ----------
    link
        The socket.
    device
        The number of the device.
    name
        Its name. Its number may differ in this process.
    rate
        Samples a second.
    channels
        How many channels the device requires.
    fade
        How many samples are faded out before replaced samples.
    """

    def __init__(self, link: socket.socket, device: int, name: str, rate: int, channels: int, fade: int) -> None:
        import sounddevice

        self._sd: Any = sounddevice
        self._link = link
        self._device = self._found(device, name)
        self._rate = rate
        self._channels = channels
        self._buffer = PlayBuffer(BUFFER_SECONDS * rate, fade)
        self._latency = LATENCY_SECONDS
        self._late = self._replaced = self._begin = 0
        self._sent: wire.Report | None = None
        self._woken, self._waking = os.pipe()
        os.set_blocking(self._waking, False)
        self._stream = self._opened()

    def run(self) -> None:
        """Play until the socket is closed. Raises `OSError` if the device cannot play any more."""
        orders = bytearray()
        waiting = select.poll()
        waiting.register(self._link, select.POLLIN)
        waiting.register(self._woken, select.POLLIN)
        late = 0
        while True:
            self._report()
            ready = [handle for handle, _ in waiting.poll(LOOK_SECONDS * 1000)]
            if not ready and not self._stream.active:
                raise OSError("the device has ended the stream")
            if self._woken in ready:
                os.read(self._woken, 4096)
            if self._link.fileno() in ready:
                data = self._link.recv(1 << 16)
                if not data:
                    return
                orders += data
                self._obey(orders)
            if self._late > late + 1:
                self._store_more()
                late = self._late

    def close(self) -> None:
        """Drop what the device has, and give it back."""
        with limited(END_SECONDS):
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)

    def _found(self, device: int, name: str) -> int:
        listed = self._sd.query_devices()
        if device < len(listed) and listed[device]["name"] == name:
            return device
        for info in listed:
            if info["name"] == name and info["max_output_channels"]:
                return int(info["index"])
        raise OSError("it is gone")

    def _opened(self) -> Any:
        self._called = 0.0  # when the device asked for samples last
        stream = self._sd.RawOutputStream(
            samplerate=self._rate,
            device=self._device,
            channels=self._channels,
            dtype="float32",
            latency=self._latency,
            callback=self._callback,
        )
        self._stored = stream.latency
        stream.start()
        return stream

    def _callback(self, out: Any, frames: int, when: Any, status: Any) -> None:  # noqa: ARG002
        now = time.monotonic()
        # Not every system says that it ran dry. One that plays on a server may be called late and not run dry.
        dry = self._called and now - self._called > 2 * (self._stored + frames / self._rate)
        self._called = now
        self._late += bool(dry or status.output_underflow)
        self._buffer.play(memoryview(out).cast("f"), self._channels)
        with contextlib.suppress(BlockingIOError):  # it wakes up already
            os.write(self._waking, b".")

    def _obey(self, orders: bytearray) -> None:
        """Carry out the orders that have come whole, and remove them."""
        while len(orders) >= wire.ORDER.size:
            order, count = wire.ORDER.unpack_from(orders)
            size = wire.ORDER.size + 4 * count
            if len(orders) < size:
                return
            samples = memoryview(bytes(orders[wire.ORDER.size : size])).cast("f")
            del orders[:size]
            if order == wire.REPLACE:
                self._begin = self._buffer.replace(samples)
                self._replaced += 1
            else:
                self._buffer.write(samples)

    def _store_more(self) -> None:
        """Open the device again such that it stores more, if it can."""
        if self._latency >= MOST_SECONDS:
            return
        before = self._stored
        self._latency = min(2 * self._latency, MOST_SECONDS)
        with limited(CALL_SECONDS):
            self._stream.stop()  # when it has played what it stores
            self._stream.close()
            self._stream = self._opened()
        if self._stored <= before:
            self._latency = MOST_SECONDS

    def _report(self) -> None:
        """Tell the other process how playing stands, if there is something new to tell."""
        sent, dry = self._sent, self._buffer.dry + self._late
        delay = round(self._stored * self._rate)
        new = wire.Report(self._buffer.read, dry, self._replaced, self._begin, delay)
        if sent and new[1:] == sent[1:] and new.read - sent.read < REPORT_SECONDS * self._rate:
            return
        # The other process may be stopped. It gets the next report, which says everything that this one says.
        with contextlib.suppress(BlockingIOError):
            self._link.send(new.packed(), socket.MSG_DONTWAIT)
            self._sent = new


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Kill this process if the block takes longer: calls into the system may never return when a device is lost."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it may have been ignored where this process was started
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(device: int, name: str, rate: int, channels: int, fade: int) -> None:
    """Play, and tell the other process if that is not possible. The parameters are those of `Player`."""
    gc.disable()  # it would make the callback late
    player = None
    with socket.socket(fileno=0) as link:
        try:
            with limited(CALL_SECONDS):
                player = Player(link, device, name, rate, channels, fade)
            player.run()
        except ConnectionError:  # nobody listens any more
            pass
        except Exception as error:  # noqa: BLE001  whatever PortAudio raises, the device cannot play
            text = str(error).partition("\n")[0]
            with contextlib.suppress(OSError):
                link.sendall(wire.Report(wire.FAILED).packed() + text.encode())
    if player is not None:
        player.close()
    os._exit(0)  # without waiting for a device that is lost
