"""What subtitles are written to: a file that is complete or not there, or a pipe."""

from __future__ import annotations

import threading
from pathlib import Path

from tts_cli.errors import UsageError
from tts_cli.paths import check_place
from tts_cli.playback import cannot_write
from tts_cli.playback.file import already_there
from tts_cli.playback.outlet import Outlet, open_outlet
from tts_cli.replace import Draft
from tts_cli.subtitles.formats import FORMATS
from tts_cli.subtitles.placing import Cue


def check_subtitles(path: Path) -> None:
    """Check, before anything is created, that subtitles can be written at `path`.

    Raises
    ------
    UsageError
        If the suffix is unknown, or there is no such directory.
    OutputError
        If the system does not let us look.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"cannot tell a format of subtitles from the name {str(path)!r}",
            f"end it with one of: {', '.join(FORMATS)}",
        )
    check_place(path)


class SubtitleTarget:
    """Writes cues. The suffix of the name chooses the format.

    A file is written to a draft, which replaces the file at the end if `keep` was called. A pipe gets each cue at once.

    Parameters
    ----------
    path
        The file, the named pipe or the device file.
    cancelled
        Ends the wait for the reader of a named pipe.
    clobber
        Whether a file at `path` may be replaced. If not, one that is there at the end is a `UsageError`.

    Raises
    ------
    UsageError
        If the suffix is unknown, or there is no such directory.
    OutputError
        If it cannot be opened.
    """

    def __init__(self, path: Path, cancelled: threading.Event, clobber: bool = True) -> None:
        check_subtitles(path)
        self._format = FORMATS[path.suffix.lower()]
        self._path = path
        self._clobber = clobber
        self._cues = 0
        self._keep = False
        self._closed = False
        self._outlet: Outlet | None = open_outlet(path, cancelled)
        if self._outlet is None:
            self._draft = Draft(path)
            try:
                self._file = self._draft.open()
            except OSError as error:
                self._draft.discard()
                raise cannot_write(str(path), error) from error

    def write(self, cue: Cue) -> None:
        """Write a cue. Raises `OutputError`, for example if the disk is full."""
        if self._closed:  # by another thread, after Ctrl-C
            return
        self._cues += 1
        text = self._format.cue(self._cues, cue)
        self._send(self._format.header + text if self._cues == 1 else text)

    @property
    def kept(self) -> bool:
        """Whether `close` will complete the file."""
        return self._keep

    def keep(self) -> None:
        """Let `close` complete the file."""
        self._keep = True

    def interrupt(self) -> None:
        """End a wait for the reader of a pipe. A file is completed by `close`."""
        self._keep = True
        if self._outlet is not None:
            self._outlet.interrupt()

    def close(self) -> None:
        """Complete the file and move it into place, if there is a cue and `keep` was called; otherwise remove it."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._keep and self._cues:
                self._send(self._format.footer)
                if self._outlet is None:
                    self._commit()
        finally:
            if self._outlet is None:
                self._draft.discard()
            else:
                self._outlet.close()

    def _send(self, text: str) -> None:
        data = text.encode(errors="replace")  # half a surrogate pair, of a name that was escaped, is no text
        if self._outlet is not None:
            self._outlet.send(data)
            return
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise cannot_write(str(self._path), error) from error

    def _commit(self) -> None:
        try:
            self._draft.commit(self._clobber)
        except FileExistsError as error:
            raise already_there(self._path) from error
        except OSError as error:
            raise cannot_write(str(self._path), error) from error
