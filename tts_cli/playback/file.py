"""Writes sound to a file: to a draft beside it while sound is computed, and renamed when it is complete."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, BinaryIO, Final

import soundfile

from tts_cli.audio import AudioChunk, to_pcm16
from tts_cli.errors import OutputError, UsageError
from tts_cli.paths import check_place
from tts_cli.playback import Sink, SinkStatus, cannot_write
from tts_cli.replace import Draft

FORMATS: Final[dict[str, tuple[str, str]]] = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
}
"""libsndfile's container and encoding for each suffix."""


def check_target(path: Path) -> None:
    """Check, before anything is created, that a sound file can be written at `path`.

    Raises
    ------
    UsageError
        If the suffix is unknown, or there is no such directory.
    OutputError
        If the system does not let us look.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"cannot tell a sound format from the name {str(path)!r}",
            f"end it with one of: {', '.join(FORMATS)}",
        )
    check_place(path)


def already_there(path: Path) -> UsageError:
    """The error for a file that must not be replaced."""
    return UsageError(f"{path} exists already", "choose another name, or leave out --no-clobber")


class FileSink(Sink):
    """Writes WAV, FLAC, MP3 or Ogg Vorbis, mono.

    An interrupted file is complete and valid up to the interruption. After an error, and if no sound was written,
    nothing is left, and a file that was there before stays as it was.

    Parameters
    ----------
    path
        The file. Its suffix, one of `FORMATS`, chooses the format.
    rate
        Samples a second.
    clobber
        Whether a file at `path` may be replaced. If not, one that is there at the end is a `UsageError`.

    Raises
    ------
    UsageError
        If the suffix is unknown, or there is no such directory.
    OutputError
        If no file can be made there.
    """

    def __init__(self, path: Path, rate: int, clobber: bool = True) -> None:
        check_target(path)
        self._path = path
        self._rate = rate
        self._clobber = clobber
        self._keep = False
        self._frames = 0
        self._using = threading.Lock()  # libsndfile must not write while another thread closes
        container, encoding = FORMATS[path.suffix.lower()]
        self._draft = Draft(path)
        try:
            self._raw = _Recorder(self._draft.open())
            self._sound: soundfile.SoundFile | None = soundfile.SoundFile(
                self._raw, "w", samplerate=rate, channels=1, format=container, subtype=encoding
            )
        except BaseException as error:
            self._draft.discard()
            if isinstance(error, OSError):
                raise cannot_write(str(path), error) from error
            raise

    def write(self, chunk: AudioChunk, needed: float) -> None:  # noqa: ARG002
        """Encode and write. Raises `OutputError`, for example if the disk is full."""
        with self._using:
            assert self._sound is not None
            try:
                self._sound.write(to_pcm16(chunk.samples))
            except (soundfile.LibsndfileError, AssertionError) as error:
                self._raise_if_failed()
                raise OutputError(f"cannot encode {self._path} ({error})", "try another format") from error
            self._raise_if_failed()
            self._frames += len(chunk.samples)

    def finish(self) -> None:
        """Complete the file and move it into place."""
        self._keep = True
        self._settle()

    def interrupt(self) -> None:
        """Let `close` complete the file with the sound written so far."""
        self._keep = True

    def close(self) -> None:
        """Move the file into place if it was finished or interrupted; otherwise remove it."""
        self._settle()

    def status(self) -> SinkStatus:
        """How much sound was written."""
        return SinkStatus(delivered=self._frames / self._rate)

    def _settle(self) -> None:
        with self._using:
            sound, self._sound = self._sound, None
            if sound is None:
                return
            try:
                sound.close()
                self._raw.close()
                if self._keep and self._frames:
                    self._raise_if_failed()
                    self._draft.commit(self._clobber)
            except FileExistsError as error:
                raise already_there(self._path) from error
            except OSError as error:
                raise cannot_write(str(self._path), error) from error
            finally:
                self._draft.discard()

    def _raise_if_failed(self) -> None:
        if self._raw.error is not None:
            raise cannot_write(str(self._path), self._raw.error) from self._raw.error


class _Recorder:
    """A binary file that stores the error of a failed write, because libsndfile would lose an exception."""

    def __init__(self, file: BinaryIO) -> None:
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
        """Called by libsndfile. The file is flushed when it is closed."""

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self.error = error
