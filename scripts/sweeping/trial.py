"""Runs a command once, sends it one signal, and records what happens."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

Phase = Literal["starting", "running", "over"]
"""Whether the process had no signal handlers yet, had them, or had done its work and ignored signals."""
PATIENCE = 120.0
"""Seconds after which a process that should have ended counts as hung."""
RAW = re.compile(r"Traceback|Exception ignored|terminate called|Fatal Python error|core dumped")
"""What must not be printed."""


@dataclass(frozen=True)
class Trial:
    """The result of one run. Times are in seconds."""

    moment: float
    """When the signal was sent, from the start of the process."""
    phase: Phase
    code: int
    """The exit code, or minus the number of the signal that ended the process."""
    ending: float
    """From the signal to the end of the process."""
    signalled: float
    """When the signal was sent: `time.monotonic()`."""
    output: bytes
    complaints: str

    @property
    def is_raw(self) -> bool:
        """Whether standard error had something that must not be printed."""
        return RAW.search(self.complaints) is not None


def run(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    folder: Path,
    number: signal.Signals | None = None,
    moment: float = PATIENCE,
) -> Trial:
    """Run `tts`, and send it a signal unless it has ended before (phase "over").

    Parameters
    ----------
    arguments
        The arguments of `tts`.
    environment
        Its environment variables.
    folder
        Where it runs.
    number
        The signal; None for none.
    moment
        When to send it, in seconds from the start.

    Raises
    ------
    TimeoutError
        If it does not end.
    """
    began = time.monotonic()
    with (
        (folder.parent / f"{folder.name}.stderr").open("w+b") as complaints,
        subprocess.Popen(
            [sys.executable, "-m", "tts_cli", *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        assert process.stdout is not None
        output: list[bytes] = []
        reader = threading.Thread(target=_read, args=(process.stdout, output))
        reader.start()
        ended = os.pidfd_open(process.pid)
        try:
            phase: Phase = "over"
            if not _wait(ended, moment - (time.monotonic() - began)) and number is not None:
                phase = _phase(process.pid)
                process.send_signal(number)
            sent = time.monotonic()
            if not _wait(ended, PATIENCE):
                process.kill()
                raise TimeoutError(f"{' '.join(arguments)} goes on {PATIENCE:.0f} s after {number} at {moment:.3f} s")
            ending = time.monotonic() - sent
        finally:
            os.close(ended)
        reader.join()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace")
    return Trial(sent - began, phase, process.returncode, ending, sent, b"".join(output), said)


def _read(stream: IO[bytes], into: list[bytes]) -> None:
    into.extend(iter(lambda: stream.read(65_536), b""))


def _wait(process: int, seconds: float) -> bool:
    """Whether the process ends within the given number of seconds."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _phase(process: int) -> Phase:
    """The phase of a process, by the signal handlers that the system lists. `tts_cli.signals` sets SIGHUP last."""
    status = Path(f"/proc/{process}/status").read_text()
    bit = 1 << (signal.SIGHUP - 1)
    masks = {name: int(mask, 16) for name, mask in re.findall(r"^(Sig(?:Cgt|Ign)):\s+(\w+)", status, re.MULTILINE)}
    if masks["SigIgn"] & bit:
        return "over"
    return "running" if masks["SigCgt"] & bit else "starting"
