"""What runs in a resident process, as `python -m` starts it, with what to load as JSON on standard input."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tts_cli import signals
from tts_cli.errors import TTSError
from tts_cli.resident.place import Place

TAKEN: Final = 75
"""The exit code if another process has the place."""
GRACE: Final = 8.0
"""Seconds that texts may go on after a signal."""
WAITING: Final = 64
"""How many may wait for the engine."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a resident process is to do."""

    place: Place
    engine: str
    settings: dict[str, Any]
    keep: float
    """Seconds without use after which it ends."""

    def packed(self) -> str:
        """As JSON."""
        where = [str(self.place.directory), self.place.key]
        return json.dumps([where, self.engine, self.settings, self.keep], default=str)


def job_of(text: str) -> Job:
    """The job that `Job.packed` has written."""
    (directory, key), engine, settings, keep = json.loads(text)
    return Job(Place(Path(directory), key), engine, settings, keep)


def run(job: Job) -> int:
    """Hold the engine until nobody has used it for `job.keep` seconds. Returns the exit code."""
    import filelock

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(job.place.lock, timeout=0, mode=0o600))
        except filelock.Timeout:
            return TAKEN
        bound = stack.enter_context(_listening(job.place.socket))
        from functools import partial

        from tts_cli.engines.registry import find
        from tts_cli.resident.serving import add_engine
        from tts_cli.server.running import Plan, serve
        from tts_cli.session import Session

        spec = find(job.engine)
        settings = restored(spec.settings, job.settings)
        plan = Plan("", None, WAITING, GRACE, job.keep, None, partial(add_engine, spec=spec))
        serve(bound, plan, lambda: Session(spec, settings), {}, lambda _session, _url: None, None)
    return 0


def restored(kind: Any, values: dict[str, Any]) -> Any:
    """An instance of the settings' class, made from JSON, in which only paths have another type."""
    from tts_cli.engines.options import declared, make

    known = declared(kind)
    return make(
        kind,
        {
            name: Path(value) if known[name].kind is Path and value is not None else value
            for name, value in values.items()
        },
    )


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A socket at `path`. It replaces that of a killed process, so the caller must hold the lock."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        path.unlink(missing_ok=True)
        bound.bind(str(path))
        try:
            path.chmod(0o600)
            bound.listen()
            yield bound
        finally:
            path.unlink(missing_ok=True)


def main() -> int:
    """Run a job, and write what goes wrong to the log, in one line."""
    signals.listen()
    from tts_cli.memory import share_arenas

    share_arenas()
    job = job_of(sys.stdin.read())
    if ":" not in job.engine:
        os.chdir("/")  # so that no folder of the user is held
    signals.start()
    try:
        return run(job)
    except KeyboardInterrupt:
        return signals.exit_code()
    except (TTSError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code if isinstance(error, TTSError) else 1


if __name__ == "__main__":
    sys.exit(main())
