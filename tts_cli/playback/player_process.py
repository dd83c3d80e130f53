"""Plays on any device, by the process of `tts_cli.player`."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from tts_cli.audio import Samples
from tts_cli.playback.devices import Device
from tts_cli.playback.playout import FADE_SECONDS
from tts_cli.playback.sound_server import ServerError, SoundServer
from tts_cli.player import wire

RUN: Final = "import sys; sys.path[:] = {path!r}; from tts_cli.player.process import main; main(*sys.argv[1:])"
"""What the process runs. It imports what this one would. With `python -m`, it would also import files of the working
folder in the place of Python's own."""
BUFFER_SECONDS: Final = 0.2
"""What the process stores, and so for how long this one may be kept from running."""
PATIENCE_SECONDS: Final = 10.0
"""How long it may take to open the device, or to take samples. A sound system may have to wake a device."""
END_SECONDS: Final = 0.05
"""How long it may take to end. It is then killed: it may wait for a device that is lost."""
LOOK_SECONDS: Final = 0.1
"""How often a wait for it looks whether it should end."""


class PlayerProcess(SoundServer):
    """A process with one stream that it plays. See `SoundServer`.

    Parameters
    ----------
    device
        The device, as `find_device` returns it.

    Attributes
    ----------
    end : int
        The position after the last sample that was written.

    Raises
    ------
    ServerError
        If the device cannot be opened.
    """

    fades = True

    def __init__(self, device: Device) -> None:
        self.length = round(BUFFER_SECONDS * device.rate)
        self.ahead = round(FADE_SECONDS * device.rate)
        self.end = self._replacements = 0
        self._news = bytearray()
        self._woken, self._waking = os.pipe()
        os.set_blocking(self._waking, False)
        self._link, theirs = socket.socketpair()
        self._link.settimeout(PATIENCE_SECONDS)
        self._poll = select.poll()
        self._poll.register(self._link, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        self._process: subprocess.Popen[bytes] | None = None
        self._report: wire.Report | None = None
        deadline = time.monotonic() + PATIENCE_SECONDS
        arguments = (device.index, device.name, device.rate, device.channels, self.ahead)
        try:
            with theirs:
                self._process = _started(theirs, *map(str, arguments))
            while self._report is None:
                if (left := deadline - time.monotonic()) <= 0:
                    raise ServerError("it does not answer")
                self.turn(left)
        except BaseException:
            self.close()
            raise

    def turn(self, seconds: float | None = None) -> None:
        """See `SoundServer.turn`."""
        ready = [handle for handle, _ in self._poll.poll(None if seconds is None else 1000 * seconds)]
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._link.fileno() in ready:
            self._receive()

    def wake(self) -> None:
        """See `SoundServer.wake`."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._waking, b".")

    def writable(self) -> int:
        """See `SoundServer.writable`."""
        return max(0, self.length - (self.end - self._said.read))

    def write(self, samples: Samples, position: int) -> None:
        """See `SoundServer.write`. The position must be that after the last sample."""
        if position != self.end:
            raise ValueError(f"the stream goes on at {self.end}, not at {position}")
        self._send(wire.WRITE, samples)
        self.end += len(samples)

    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        """See `SoundServer.replace`."""
        self._send(wire.REPLACE, samples)
        self._replacements += 1
        while self._said.replaced < self._replacements:
            if ended():
                return None
            self.turn(LOOK_SECONDS)
        self.end = self._said.begin + len(samples)
        return self._said.begin

    def ran_dry(self) -> int:
        """See `SoundServer.ran_dry`."""
        return self._said.dry

    def flush(self, ended: Callable[[], bool]) -> None:
        """See `SoundServer.flush`. It ends the process."""
        with contextlib.suppress(ServerError, OSError):  # the process has ended
            self._link.shutdown(socket.SHUT_WR)
            while not ended():
                self.turn(LOOK_SECONDS)

    def close(self) -> None:
        """See `SoundServer.close`. Waits for the end of the process."""
        self._link.close()
        os.close(self._woken)
        os.close(self._waking)
        if self._process is None:
            return
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _said(self) -> wire.Report:
        """What the process has reported last."""
        assert self._report is not None
        return self._report

    def _send(self, order: int, samples: Samples) -> None:
        block = np.ascontiguousarray(samples, np.float32)
        try:
            self._link.sendall(wire.ORDER.pack(order, len(block)) + block.tobytes())
        except OSError as error:  # it has ended, or does not read any more
            raise ServerError(str(error)) from error

    def _receive(self) -> None:
        """Take the reports that have come."""
        data = self._received()
        self._news += data
        while len(self._news) >= wire.REPORT_SIZE:
            self._report = wire.report_of(self._news[: wire.REPORT_SIZE])
            self.delay = self._report.delay
            del self._news[: wire.REPORT_SIZE]
            if self._report.read == wire.FAILED:
                while more := self._received():
                    self._news += more
                raise ServerError(self._news.decode(errors="replace"))
        if not data:
            raise ServerError("the process that plays has ended")

    def _received(self) -> bytes:
        """What has come; nothing at the end."""
        try:
            return self._link.recv(1 << 16)
        except OSError as error:
            raise ServerError(str(error)) from error


def _started(link: socket.socket, *arguments: str) -> subprocess.Popen[bytes]:
    """The process, with its end of the socket as its standard input. Raises `ServerError` if it cannot be started."""
    try:
        return subprocess.Popen(
            [sys.executable, "-c", RUN.format(path=sys.path), *arguments],
            stdin=link.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process only
        )
    except OSError as error:
        raise ServerError(f"no process can be started: {error.strerror}") from error
