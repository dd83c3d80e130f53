"""A terminal without a screen."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import warm
from tests.harness import PATIENCE, TTS


class Terminal:
    """A terminal with one program in it, as the person in front of it has it."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.screen = ""

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def wait_for(self, pattern: str) -> None:
        """Read until the pattern has been shown."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.screen):
            assert time.monotonic() < deadline, self.screen
            assert self._read(), f"the program ended with {self.process.wait()}: {self.screen}"

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Close the window: what runs in it gets SIGHUP."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE)
        assert ready, "nothing happens any more"
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # how Linux says that nobody holds the other end
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*arguments: str, environment: dict[str, str], folder: Path, **streams: Any) -> Iterator[Terminal]:
    """Run `tts` in a terminal of its own; `streams` takes some of it elsewhere."""
    ours, theirs = pty.openpty()
    usual: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = warm.popen([*TTS, *arguments], env=environment, cwd=folder, terminal=True, **(usual | streams))
    os.close(theirs)
    shown = Terminal(ours, process)
    try:
        yield shown
    finally:
        process.kill()
        process.wait()
        shown.close()
