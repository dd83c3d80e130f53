"""Finds the resident processes of this user, and ends them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final

from tts_cli.errors import MissingError, TTSError
from tts_cli.resident.place import Place, places

ABOUT: Final = "/resident"
"""The path that tells what a resident process is."""
ANSWER_SECONDS: Final = 5.0
END_SECONDS: Final = 20.0
"""How long a process may take to end: it lets texts finish for some seconds."""
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Resident:
    """A resident process.

    Parameters
    ----------
    place
        Where it is found.
    pid
        Its number; None if it does not answer.
    engine
        The name of its engine.
    loaded
        Whether that is loaded.
    listeners
        How many texts it speaks.
    idle
        For how many seconds nobody has used it.
    keep
        Seconds without use after which it ends.
    """

    place: Place
    pid: int | None = None
    engine: str = ""
    loaded: bool = False
    listeners: int = 0
    idle: float = 0.0
    keep: float = 0.0

    def __str__(self) -> str:
        if self.pid is None:
            return f"does not answer; its log is {self.place.log}"
        doing = f"speaks {self.listeners}" if self.listeners else f"not used for {self.idle:.0f} s"
        state = doing if self.loaded else "is loading"
        return f"{self.engine}, process {self.pid}, {state}, ends after {self.keep:g} s without use"


def residents() -> Iterator[Resident]:
    """The processes that run. Files that killed processes have left are deleted.

    Raises
    ------
    MissingError
        If a package is not installed that resident processes need.
    """
    for place in places():
        if not _is_held(place):
            for path in (place.socket, place.log):
                path.unlink(missing_ok=True)
            continue
        try:
            yield Resident(place, **_asked(place))
        except (OSError, ValueError, TypeError, http.client.HTTPException):
            yield Resident(place)


def stop(resident: Resident) -> None:
    """End a process, and wait until it has ended.

    Raises
    ------
    TTSError
        If it does not answer, or does not end.
    """
    if resident.pid is None:
        raise TTSError("a process that keeps an engine does not answer", f"see {resident.place.log}, and kill it")
    with suppress(ProcessLookupError):
        os.kill(resident.pid, signal.SIGTERM)
    latest = time.monotonic() + END_SECONDS
    while _is_held(resident.place):
        if time.monotonic() > latest:
            raise TTSError(f"process {resident.pid} does not end", f"end it with: kill -9 {resident.pid}")
        time.sleep(LOOK_SECONDS)


def _is_held(place: Place) -> bool:
    try:
        import filelock
    except ImportError as error:
        raise MissingError(
            f"the packages of --keep-warm are missing ({error})", "run: pip install '.[serve]'"
        ) from error
    try:
        with filelock.FileLock(place.lock, timeout=0, mode=0o600):
            return False
    except filelock.Timeout:
        return True


def _asked(place: Place) -> dict[str, Any]:
    with closing(_UnixConnection(place)) as connection:
        connection.request("GET", ABOUT)
        told = json.loads(connection.getresponse().read())
    return {name: told[name] for name in ("pid", "engine", "loaded", "listeners", "idle", "keep")}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket of a process."""

    def __init__(self, place: Place) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = str(place.socket)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
