"""Files that are complete or not there: written to a draft in the same folder, and renamed when they are complete.

A draft is called `.tts-….part`, and its writer holds a lock on it. A draft without a lock belongs to a process that was
killed. It is deleted when the next draft is made in that folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["Draft", "alone", "draft_folder", "replacing"]

_DRAFT: Final = re.compile(r"\.tts-[0-9a-f]{8}\.part")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file, and put it at `path` when the block ends. After an exception, `path` stays as it was.

    Parameters
    ----------
    path
        The file to make or to replace.

    Yields
    ------
    BinaryIO
        The draft, open for writing and reading.

    Raises
    ------
    PermissionError
        If the file at `path` is read-only.
    OSError
        If no file can be made there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "new")) as file:
    ...         _ = file.write(b"all of it")
    ...     Path(folder, "new").read_bytes()
    b'all of it'
    """
    draft = Draft(path)
    try:
        yield draft.open()
        draft.commit()
    finally:
        draft.discard()


@contextmanager
def draft_folder(directory: Path) -> Iterator[Path]:
    """A temporary folder in `directory`, for files that will be renamed into `directory`.

    It is removed when the block ends. Raises `OSError` if it cannot be made.
    """
    _sweep(directory)
    handle = None
    while handle is None:
        folder = _draft_name(directory)
        folder.mkdir(0o700)
        with suppress(FileNotFoundError):  # swept before it was ours
            handle = _held(os.open(folder, os.O_RDONLY | os.O_CLOEXEC), folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Run the block while no other process or thread runs such a block for `directory`. Raises `OSError`."""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Draft:
    """A file that is written in the folder of `path` until `commit` puts it there.

    It takes its mode and owner from the file that it replaces. A symbolic link stays, and its target is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._target = Path(os.path.realpath(path))
        self._part = _draft_name(self._target.parent)
        self._file: BinaryIO | None = None
        self._lock: int | None = None

    def open(self) -> BinaryIO:
        """Create the draft, for writing and reading. Raises as `replacing` does."""
        old = _replaceable(self._target)
        mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777  # the system subtracts the umask
        _sweep(self._target.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while (handle := _held(os.open(self._part, flags, mode), self._part)) is None:
            self._part = _draft_name(self._target.parent)
        self._file = os.fdopen(handle, "w+b")
        self._lock = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 0)  # stays locked when the file is closed
        if old is not None:
            with suppress(PermissionError):  # only root may change the owner
                os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, stat.S_IMODE(old.st_mode))
        return self._file

    def commit(self, clobber: bool = True) -> None:
        """Put the draft at its path.

        Raises
        ------
        FileExistsError
            If there is a file already and `clobber` is false.
        OSError
            If it cannot be renamed.
        """
        assert self._file is not None
        self._file.close()
        if clobber:
            self._part.replace(self._target)
            return
        # Make an empty file first: not every system has a rename that refuses to replace a file.
        os.close(os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
        try:
            self._part.replace(self._target)
        except BaseException:
            self._target.unlink()
            raise

    def discard(self) -> None:
        """Remove the draft, if `commit` has not moved it, and release its lock."""
        if self._file is not None:
            with suppress(OSError):  # the draft is removed, so a failed write does not matter
                self._file.close()
        self._part.unlink(missing_ok=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _replaceable(target: Path) -> os.stat_result | None:
    """The status of the file at `target`, or None if there is none. Raises `OSError` if it must not be replaced."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(old.st_mode):  # a file instead of /dev/null would break other programs
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(target))
    # A rename replaces a read-only file, too. For root, who may write every file, the mode decides.
    if not old.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only", str(target))
    return old


def _draft_name(directory: Path) -> Path:
    """A short name. It does not contain the target's, which may be as long as the file system allows."""
    return directory / f".tts-{secrets.token_hex(4)}.part"


def _held(handle: int, draft: Path) -> int | None:
    """Lock a new draft until `handle` is closed. Returns `handle`, or None if another process has deleted the draft."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if draft.exists():
            return handle
    except BlockingIOError:
        pass
    except OSError:  # a file system without locks, on which no draft is deleted
        return handle
    os.close(handle)
    return None


def _sweep(directory: Path) -> None:
    """Delete the drafts of processes that were killed, as far as possible."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if _DRAFT.fullmatch(entry.name):
                with suppress(OSError):  # its writer runs, or another process has deleted it
                    _delete_unheld(Path(entry.path))


def _delete_unheld(draft: Path) -> None:
    handle = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink()
    finally:
        os.close(handle)
