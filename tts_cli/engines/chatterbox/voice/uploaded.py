"""Makes voices of recordings that others have sent: each in a process with limits, which `python -m` runs.

A small file can be hours of sound, and its header can promise any number of samples. So it is read in a process
whose memory, processor time and sound are limited.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.voice.recording import LONGEST, read_recording
from tts_cli.engines.chatterbox.voice.store import ENGINE, VoiceStore
from tts_cli.engines.chatterbox.weights.locate import locate, require_packages
from tts_cli.engines.spec import VoiceInfo
from tts_cli.errors import TTSError, UsageError

MEMORY: Final = 1 << 30
"""Bytes that reading may take. The longest recording in stereo at 48 kHz takes a quarter of that."""
PROCESSOR_SECONDS: Final = 60
"""Processor time that reading may take."""
POLITENESS: Final = 10
"""The niceness of the process, so that the one that speaks is scheduled before it."""


class UploadedVoices:
    """The `VoiceMaker` of Chatterbox.

    Parameters
    ----------
    settings
        Those that the engine is loaded with.
    """

    def __init__(self, settings: ChatterboxSettings) -> None:
        self._settings = settings
        self._store = VoiceStore(settings.voices_dir)

    def check_free(self, name: str) -> None:
        """See `VoiceMaker.check_free`."""
        self._store.check_free(name)
        require_packages()
        self._folder()

    def command(self, file: Path, name: str, source: str) -> list[str]:
        """See `VoiceMaker.command`."""
        places = [str(place.absolute()) for place in (file, self._folder(), self._store.directory)]
        return [sys.executable, "-m", __name__, *places, name, source]

    def remove(self, name: str) -> None:
        """See `VoiceMaker.remove`."""
        self._store.remove(name)

    def _folder(self) -> Path:
        return locate(self._settings.model, self._settings.model_dir, voice_caching=True)


@contextmanager
def limited() -> Iterator[None]:
    """Limits what the block may take of the machine.

    Raises
    ------
    UsageError
        If it needs more memory. If it needs more time, the process is killed by SIGXCPU.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {resource.RLIMIT_CPU: round(used.ru_utime + used.ru_stime) + PROCESSOR_SECONDS}
    if sys.platform == "linux":  # macOS has no limit of this kind
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + MEMORY
    before = {kind: resource.getrlimit(kind) for kind in limits}
    try:
        for kind, most in limits.items():
            soft, hard = before[kind]
            known = [each for each in (most, soft, hard) if each != resource.RLIM_INFINITY]
            resource.setrlimit(kind, (min(known), hard))
        yield
    except MemoryError as error:
        raise UsageError("the recording needs too much memory", "send 10 to 15 s of one voice") from error
    finally:
        for kind, each in before.items():
            resource.setrlimit(kind, each)


def make(file: Path, folder: Path, directory: Path, name: str, source: str) -> None:
    """Make a voice of a recording that somebody has sent, and store it.

    Parameters
    ----------
    file
        The recording.
    folder
        The folder with the weights.
    directory
        The folder with the voices.
    name
        The name of the voice.
    source
        What its sender calls the recording.

    Raises
    ------
    UsageError
        If the recording is too long or too costly.
    TTSError
        As `cache_voice` does.
    """
    store = VoiceStore(directory)
    with limited():
        sound, seconds = read_recording(file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if seconds >= LONGEST:
        raise UsageError(f"{file} is longer than {LONGEST} s", "send 10 to 15 s of one voice")
    from tts_cli.engines.chatterbox.voice.cloning import store_voice

    path = store.directory / f"{name}.pt"
    about = VoiceInfo(name, ENGINE, path=path, source=source, sha256=digest, duration=round(seconds, 3))
    store_voice(sound, about, folder, store)


def _main() -> NoReturn:
    os.nice(POLITENESS)
    file, folder, directory, name, source = sys.argv[1:]
    os.chdir(Path(file).parent)  # so that no message names its folder
    try:
        make(Path(Path(file).name), Path(folder), Path(directory), name, source)
    except TTSError as error:
        print(error, flush=True)  # noqa: T201
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001  one line, as for all errors
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    _main()
