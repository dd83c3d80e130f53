"""Plays on any device, in a process of its own (`tts_cli.player`)."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from tts_cli.audio import Samples
from tts_cli.playback.device_stream import LOOK_SECONDS, STORED_SECONDS, DeviceStream, StreamError
from tts_cli.playback.devices import Device
from tts_cli.playback.playout import FADE_SECONDS
from tts_cli.player import wire

RUN: Final = "import sys; sys.path[:] = {path!a}; from tts_cli.player.process import main; main(*{arguments!a})"
"""What the process runs. It finds modules where this process finds them, and not in the folder where it starts."""
PATIENCE_SECONDS: Final = 10.0
"""How long it may take to open the device. A sound system may have to wake one."""
END_SECONDS: Final = 0.4
"""How long it may take to end. It is then killed."""


class ProcessStream(DeviceStream):
    """A stream that a process plays through PortAudio. See `DeviceStream`.

    Parameters
    ----------
    device
        The device, as `find_device` returns it.

    Raises
    ------
    StreamError
        If the device cannot be opened.
    """

    def __init__(self, device: Device) -> None:
        self.ahead = round(FADE_SECONDS * device.rate)
        self._end = self._replacements = 0
        self._unsent, self._news = bytearray(), bytearray()
        self._process: subprocess.Popen[bytes] | None = None
        self._report: wire.Report | None = None
        self._opened = contextlib.ExitStack()
        try:
            self._open(device)
        except BaseException:
            self.close()
            raise
        self.length = max(round(STORED_SECONDS * device.rate), 2 * self.delay)

    def _open(self, device: Device) -> None:
        try:
            self._woken, self._waking = (self._opened.enter_context(end) for end in socket.socketpair())
            self._link, theirs = (self._opened.enter_context(end) for end in socket.socketpair())
            self._process = _started(device, self.ahead, theirs)
        except OSError as error:
            raise StreamError(f"no process can be started: {error.strerror}") from error
        theirs.close()
        for end in (self._woken, self._waking, self._link):
            end.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(self._link, select.POLLIN)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._report is None:
            if (left := deadline - time.monotonic()) <= 0:
                raise StreamError("it does not answer")
            self.turn(left)

    def turn(self, seconds: float | None = None) -> None:
        """See `DeviceStream.turn`. What could not be sent before is sent meanwhile."""
        self._poll.modify(self._link, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        ready = dict(self._poll.poll(None if seconds is None else 1000 * seconds))
        if self._woken.fileno() in ready:
            self._woken.recv(4096)
        events = ready.get(self._link.fileno(), 0)
        if events & ~select.POLLOUT:
            self._receive()
        if events & select.POLLOUT:
            self._send()

    def wake(self) -> None:
        """See `DeviceStream.wake`."""
        with contextlib.suppress(BlockingIOError):  # it wakes up already
            self._waking.send(b".")

    def writable(self) -> int:
        """See `DeviceStream.writable`."""
        return max(0, self.length - (self._end - self._known.read))

    def write(self, samples: Samples) -> None:
        """See `DeviceStream.write`."""
        self._order(wire.WRITE, samples)
        self._end += len(samples)

    def replace(self, samples: Samples, ended: Callable[[], bool]) -> int | None:
        """See `DeviceStream.replace`."""
        self._order(wire.REPLACE, samples)
        self._replacements += 1
        while self._known.replaced < self._replacements:
            if ended():
                return None
            self.turn(LOOK_SECONDS)
        self._end = self._known.begin + len(samples)
        return self._known.begin

    def ran_dry(self) -> int:
        """See `DeviceStream.ran_dry`."""
        return self._known.dry

    def flush(self, ended: Callable[[], bool]) -> None:
        """See `DeviceStream.flush`. The process ends."""
        with contextlib.suppress(StreamError, OSError):  # it has ended
            self._link.shutdown(socket.SHUT_WR)
            self._unsent.clear()
            while not ended():
                self.turn(LOOK_SECONDS)

    def close(self) -> None:
        """See `DeviceStream.close`. Waits for the end of the process."""
        self._opened.close()
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._process.kill()  # which does nothing if it has ended
        with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may keep it
            self._process.wait(END_SECONDS)

    @property
    def _known(self) -> wire.Report:
        """What the process has reported last."""
        assert self._report is not None
        return self._report

    def _order(self, order: int, samples: Samples) -> None:
        block = np.ascontiguousarray(samples, np.float32)
        self._unsent += wire.ORDER.pack(order, len(block)) + block.tobytes()
        self._send()

    def _send(self) -> None:
        """Send as much as the process takes now."""
        try:
            del self._unsent[: self._link.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it has ended; what it has said before tells why
            self._unsent.clear()

    def _receive(self) -> None:
        """Take the reports that have come."""
        try:
            data = self._link.recv(1 << 16)
        except ConnectionError:
            data = b""
        self._news += data
        while len(self._news) >= wire.REPORT_SIZE:
            report = wire.report_of(self._news[: wire.REPORT_SIZE])
            if report.read == wire.FAILED:
                break
            del self._news[: wire.REPORT_SIZE]
            self._report, self.delay = report, report.delay
        if not data:  # after a failure, its text is all that is left
            text = self._news[wire.REPORT_SIZE :].decode(errors="replace")
            raise StreamError(text or "the process that plays has ended")


def _started(device: Device, fade: int, link: socket.socket) -> subprocess.Popen[bytes]:
    """The process, whose standard input is its end of the socket."""
    arguments = (device.index, device.name, device.rate, device.channels, fade)
    path = [entry for entry in sys.path if type(entry) is str]
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(path=path, arguments=arguments)],
        stdin=link.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process only
    )
