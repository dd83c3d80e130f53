"""Where a resident process is found: its socket, its lock and its log, by a key of what it has loaded.

They are in a folder of the user's own that nobody else may enter. The process holds the lock for its life, so a socket
whose lock is free belongs to a process that was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tts_cli import __version__
from tts_cli.engines import EngineSettings, EngineSpec
from tts_cli.engines.options import values
from tts_cli.errors import UsageError
from tts_cli.paths import cannot

_READ: Final = ("TTS_", "HF_", "HUGGINGFACE_", "OMP_", "MKL_", "CUDA_", "PYTHONPATH")
"""Beginnings of the names of variables that an engine may read when it loads."""
_PASSING: Final = ("TTS_KEEP_WARM", "TTS_CONFIG_DIR")
"""Those of them that no engine reads."""
LONGEST: Final = 100
"""Bytes in the path of a socket; the systems allow 104 to 108."""


def _folder() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return Path(base, "tts") if Path(base).is_dir() else Path(f"/tmp/tts-{os.getuid()}")


def _is_ours(directory: Path) -> bool:
    try:
        about = directory.lstat()
    except OSError:
        return False
    return about.st_uid == os.getuid() and stat.S_ISDIR(about.st_mode) and not stat.S_IMODE(about.st_mode) & 0o077


@dataclass(frozen=True, slots=True)
class Place:
    """Where one resident process is found.

    Parameters
    ----------
    directory
        The folder.
    key
        Identifies what the process has loaded.
    """

    directory: Path
    key: str

    def make(self) -> None:
        """Make the folder if it is not there.

        Raises
        ------
        UsageError
            If it cannot be made, if others may enter it, or if its path is too long for a socket.
        """
        remedy = "let XDG_RUNTIME_DIR name a folder of yours"
        try:
            self.directory.mkdir(0o700, exist_ok=True)
        except OSError as error:
            raise cannot("make", self.directory, error, remedy) from error
        if not _is_ours(self.directory):
            raise UsageError(f"others may enter {self.directory}", remedy)
        if len(os.fsencode(self.socket)) > LONGEST:
            raise UsageError(f"{self.directory} is too long a path for a socket", remedy)

    @property
    def is_used(self) -> bool:
        """Whether a process has made a socket there, in a folder that nobody else may enter."""
        return self.socket.exists() and _is_ours(self.directory)

    @property
    def socket(self) -> Path:
        """Its socket."""
        return self.directory / f"{self.key}.sock"

    @property
    def lock(self) -> Path:
        """The file that it holds a lock on."""
        return self.directory / f"{self.key}.lock"

    @property
    def log(self) -> Path:
        """Its log."""
        return self.directory / f"{self.key}.log"


def place_of(spec: EngineSpec, settings: EngineSettings) -> Place:
    """Where the process is found that has this engine with these settings."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(_READ) and name not in _PASSING}
    here = ""
    if ":" in spec.name:  # its module can be one of this folder
        with suppress(FileNotFoundError):  # the folder was deleted
            here = str(Path.cwd())
    known = [__version__, __file__, _code(spec), spec.name, values(settings), variables, here]
    key = hashlib.sha256(json.dumps(known, default=str, sort_keys=True).encode()).hexdigest()[:16]
    return Place(_folder(), key)


def _code(spec: EngineSpec) -> str:
    """A key for the code of this package and of the module that names the engine. It changes when a file changes.

    Only the times and sizes of files are read, because a run that speaks at once waits for this.
    """
    digest = hashlib.sha256()
    folders = [os.fspath(Path(__file__).parent.parent)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:  # it may be in an archive
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.endswith(".py"):
                    _add(digest, entry.path)
                elif entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                    folders.append(entry.path)
    named = sys.modules.get(spec.name.partition(":")[0])
    _add(digest, getattr(named, "__file__", None) or "")
    return digest.hexdigest()


def _add(digest: hashlib._Hash, path: str) -> None:
    with suppress(OSError):
        about = os.stat(path)  # noqa: PTH116  a tenth of the time
        digest.update(f"{path} {about.st_mtime_ns} {about.st_size}\n".encode())


def places() -> Iterator[Place]:
    """All places that a process has used."""
    directory = _folder()
    if _is_ours(directory):
        for path in sorted(directory.glob("*.lock")):
            yield Place(directory, path.stem)
