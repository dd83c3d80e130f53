"""A server that is loaded: a process of its own, or one that runs already. Linux only."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 300.0
END_SECONDS: Final = 15.0
TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """A server that is ready."""

    pid: int | None
    """Its process; None if it runs elsewhere, so that the system counts nothing of it."""
    url: str

    def memory(self, name: str = "VmRSS") -> float:
        """Its memory in MB: `VmRSS` now, `VmHWM` at its peak. Only for a process of its own."""
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def forget_peak(self) -> None:
        """Begin to count the peak again. Only for a process of its own."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        """Seconds of processor time so far; 0 if it runs elsewhere."""
        return 0.0 if self.pid is None else cpu_seconds(self.pid)


def key() -> dict[str, str]:
    """Headers with the token in `TTS_SERVER_KEY`, if there is one."""
    token = os.environ.get("TTS_SERVER_KEY")
    return {"Authorization": f"Bearer {token}"} if token else {}


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def commands(engine: str, model_dir: str, tokens: int, options: Sequence[str]) -> list[str]:
    """The command that runs a server: `plain` for upstream's `generate`, otherwise `tts serve`."""
    if engine == "plain":
        return [sys.executable, str(ROOT / "scripts/loading/plain_server.py"), model_dir, "--tokens", str(tokens)]
    serve = [sys.executable, "-m", "tts_cli", "serve", "--port", "0", *options]
    if engine == "chatterbox":
        return [*serve, "--engine", "loading.fixed:ENGINE", "--model-dir", model_dir]
    return [*serve, "--engine", engine]


@contextmanager
def serving(command: Sequence[str], tokens: int, log: Path) -> Iterator[Served]:
    """Run a server. It prints a line with its address when it is ready; the rest is in the file `log`."""
    paths = [str(ROOT), str(ROOT / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"LOAD_TOKENS": str(tokens), "PYTHONPATH": os.pathsep.join(paths)}
    with log.open("ab") as stderr:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    with process.stdout:
        try:
            said = process.stdout.readline() if select.select([process.stdout], [], [], START_SECONDS)[0] else ""
            found = re.search(r"http://\S+", said)
            if found is None:
                raise SystemExit(f"the server does not get ready: {log.read_text(errors='replace')[-500:]}")
            yield Served(process.pid, found[0])
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:  # the plain server goes on for those who have left
                process.kill()
                process.wait()
