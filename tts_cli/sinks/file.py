"""Sound into a file, written while it streams: beside its place first, renamed when it is whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO, Any, Final

import soundfile

from tts_cli.audio import SAMPLE_RATE, Samples, to_pcm16
from tts_cli.errors import OutputError, UsageError
from tts_cli.sinks import NullSink

FORMATS: Final[dict[str, tuple[str, str]]] = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
}
"""libsndfile's container and encoding for each suffix we write."""


def check_target(path: Path) -> None:
    """Raise unless a sound file could be written at `path`. Nothing is created."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"cannot tell a sound format from the name {str(path)!r}",
            f"end it with one of: {', '.join(FORMATS)}",
        )
    if path.is_dir():
        raise UsageError(f"{path} is a directory", "give the name of a file")
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}", f"create it first: mkdir -p {path.parent}")


class FileSink(NullSink):
    """Writes WAV, FLAC, MP3 or Ogg Vorbis, by the suffix of `path`; 24 kHz mono.

    An interrupted file is complete and valid up to the interruption. After an error nothing is left, and a file that
    was there before is as it was.
    """

    def __init__(self, path: Path) -> None:
        """Raises `UsageError` for a suffix we do not write, `OutputError` where no file can be made."""
        check_target(path)
        self._path = path
        self._keep = False
        container, encoding = FORMATS[path.suffix.lower()]
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        except OSError as error:
            raise _cannot_write(path, error) from error
        self._part = Path(name)
        self._raw = _Recorder(os.fdopen(handle, "w+b"))
        self._sound: soundfile.SoundFile | None = soundfile.SoundFile(
            self._raw, "w", samplerate=SAMPLE_RATE, channels=1, format=container, subtype=encoding
        )

    def write(self, samples: Samples, needed: float) -> None:  # noqa: ARG002
        """Encode and write. Raises `OutputError` for a full disk."""
        assert self._sound is not None
        try:
            self._sound.write(to_pcm16(samples))
        except (soundfile.LibsndfileError, AssertionError) as error:
            self._raise_if_failed()
            raise OutputError(f"cannot encode {self._path} ({error})", "try another format") from error
        self._raise_if_failed()

    def finish(self) -> None:
        """Complete the file and move it into place."""
        self._keep = True
        self._settle()

    def interrupt(self) -> None:
        """Keep what there is; `close` completes it."""
        self._keep = True

    def close(self) -> None:
        """Move the file into place if it was finished or interrupted, else remove it."""
        self._settle()

    def _settle(self) -> None:
        sound, self._sound = self._sound, None
        if sound is None:
            return
        try:
            sound.close()
            self._raw.close()
            if self._keep:
                self._raise_if_failed()
                # mkstemp's files are private; a finished one gets the rights that any new file would.
                umask = os.umask(0)
                os.umask(umask)
                self._part.chmod(0o666 & ~umask)
                self._part.replace(self._path)
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        finally:
            self._part.unlink(missing_ok=True)

    def _raise_if_failed(self) -> None:
        if self._raw.error is not None:
            raise _cannot_write(self._path, self._raw.error) from self._raw.error


class _Recorder:
    """A binary file that remembers a failed write instead of raising it into libsndfile, where it would be lost."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            return 0

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # seeking flushes what is buffered
            self.error = error
            return 0

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        """Libsndfile asks for it; `close` does it."""

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self.error = error


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}", "free some space or choose another place with -o")
