"""What runs in the process that plays: a PortAudio stream, fed from the socket that is its standard input."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
from typing import Any, Final

from tts_cli.player import wire
from tts_cli.player.buffer import PlayBuffer

LATENCY_SECONDS: Final = 0.03
"""What the device stores: how long a pause takes to be heard, and for how long this process may be kept from running.

docs/playback.md has the measurements."""
MOST_SECONDS: Final = 0.15
"""What the device stores at most. It stores twice as much after each time that it ran dry."""
END_SECONDS: Final = 0.5
"""How long a device may take to be closed. The process then ends without it."""


class Player:
    """Plays on one device.

    Parameters
    ----------
    link
        The socket.
    device
        The number of the device.
    name
        Its name: another process may count devices in another way.
    rate
        Samples a second.
    channels
        How many channels the device requires.
    fade
        Over how many samples sound is faded out before it is replaced.
    """

    def __init__(self, link: socket.socket, device: int, name: str, rate: int, channels: int, fade: int) -> None:
        import sounddevice

        self._sd: Any = sounddevice
        self._link = link
        self._device = self._found(device, name)
        self._rate = rate
        self._channels = channels
        self._buffer = PlayBuffer(rate, fade)
        self._latency = LATENCY_SECONDS
        self._late = self._replaced = self._begin = 0
        self._said = b""
        self._asked, self._asking = os.pipe()
        os.set_blocking(self._asking, False)
        self._stream = self._opened()

    def run(self) -> None:
        """Play until the socket is closed."""
        orders = bytearray()
        waiting = select.poll()
        waiting.register(self._link, select.POLLIN)
        waiting.register(self._asked, select.POLLIN)
        late = self._late
        while True:
            self._report()
            ready = [handle for handle, _ in waiting.poll()]
            if self._asked in ready:
                os.read(self._asked, 4096)
            if self._link.fileno() in ready:
                data = self._link.recv(1 << 16)
                if not data:
                    break
                orders += data
                self._obey(orders)
            if self._late != late:
                late = self._late
                self._store_more()
        signal.setitimer(signal.ITIMER_REAL, END_SECONDS)  # kills the process
        self._stream.abort(ignore_errors=True)

    def _found(self, device: int, name: str) -> int:
        listed = self._sd.query_devices()
        if device < len(listed) and listed[device]["name"] == name:
            return device
        for info in listed:
            if info["name"] == name and info["max_output_channels"]:
                return int(info["index"])
        raise OSError("it is gone")

    def _opened(self) -> Any:
        stream = self._sd.RawOutputStream(
            samplerate=self._rate,
            device=self._device,
            channels=self._channels,
            dtype="float32",
            latency=self._latency,
            callback=self._callback,
        )
        stream.start()
        return stream

    def _callback(self, out: Any, frames: int, when: Any, status: Any) -> None:  # noqa: ARG002
        self._buffer.play(memoryview(out).cast("f"), self._channels)
        self._late += bool(status.output_underflow)
        with contextlib.suppress(BlockingIOError):
            os.write(self._asking, b".")

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
        """Open the device again such that it stores more."""
        if self._latency < MOST_SECONDS:
            self._latency = min(2 * self._latency, MOST_SECONDS)
            self._stream.stop()  # when it has played what it stores
            self._stream.close()
            self._stream = self._opened()

    def _report(self) -> None:
        delay = round(self._stream.latency * self._rate)
        dry = self._buffer.dry + self._late
        news = wire.Report(self._buffer.read, dry, self._replaced, self._begin, delay).packed()
        if news != self._said:
            # The other process may be stopped. It gets the next report, which says everything that this one says.
            with contextlib.suppress(BlockingIOError):
                self._link.send(news, socket.MSG_DONTWAIT)
                self._said = news


def main(device: str, name: str, rate: str, channels: str, fade: str) -> None:
    """Play, and tell the other process if that is not possible. The parameters are those of `Player`, as text."""
    gc.disable()  # it would make the callback late
    with socket.socket(fileno=0) as link:
        try:
            Player(link, int(device), name, int(rate), int(channels), int(fade)).run()
        except ConnectionError:  # nobody listens any more
            pass
        except Exception as error:  # noqa: BLE001  whatever PortAudio raises, the device cannot play
            text = str(error).partition("\n")[0]
            with contextlib.suppress(OSError):
                link.sendall(wire.Report(wire.FAILED).packed() + text.encode())
    os._exit(0)  # without waiting for a device that is lost
