"""Files that are there whole or not at all: written beside their place, and renamed into it when they are complete.

What is written is a draft, `.tts-….part`, which its writer holds a lock on. One that nobody holds belongs to a process
that was killed: whoever makes the next draft in that folder deletes it.
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
    """A binary file that stands at `path` when the block ends well; after any exception, `path` is as it was.

    Raises `OSError`, `PermissionError` where the file at `path` is read-only.
    """
    draft = Draft(path)
    try:
        yield draft.open()
        draft.commit()
    finally:
        draft.discard()


@contextmanager
def draft_folder(directory: Path) -> Iterator[Path]:
    """A folder in `directory` for files to be renamed into it, removed when the block ends. Raises `OSError`."""
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
    """Wait until no other process or thread is in such a block for `directory`. Raises `OSError`."""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Draft:
    """A file that is written beside `path` until `commit` puts it there.

    What stood at `path` gives the new file its mode and owner. A symbolic link stays: its target is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._target = Path(os.path.realpath(path))
        self._part = _draft_name(self._target.parent)
        self._file: BinaryIO | None = None
        self._lock: int | None = None

    def open(self) -> BinaryIO:
        """Create the draft, for writing and reading. Raises as `replacing` does."""
        old = _replaceable(self._target)
        mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777  # the system takes the umask off
        _sweep(self._target.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while (handle := _held(os.open(self._part, flags, mode), self._part)) is None:
            self._part = _draft_name(self._target.parent)
        self._file = os.fdopen(handle, "w+b")
        self._lock = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 0)  # held also when the file has been closed
        if old is not None:
            with suppress(PermissionError):  # only root may give a file to somebody else
                os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, stat.S_IMODE(old.st_mode))
        return self._file

    def commit(self, clobber: bool = True) -> None:
        """Put it in its place. Raises `OSError`; without `clobber`, `FileExistsError` where something is there."""
        assert self._file is not None
        self._file.close()
        if clobber:
            self._part.replace(self._target)
            return
        # Claimed before it is replaced: a rename that replaces nothing is not to be had on every system.
        os.close(os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
        try:
            self._part.replace(self._target)
        except BaseException:
            self._target.unlink()
            raise

    def discard(self) -> None:
        """Leave nothing of it. After `commit` there is nothing to remove."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written is not wanted any more
                self._file.close()
        self._part.unlink(missing_ok=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _replaceable(target: Path) -> os.stat_result | None:
    """What is known of the file at `target`, None where there is none. Raises `OSError` where it must stay."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(old.st_mode):  # a file in the place of /dev/null would be bad for everybody
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(target))
    # Renaming over it would not ask. Root may write everything, but a file without any such right is meant to stay.
    if not old.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only", str(target))
    return old


def _draft_name(directory: Path) -> Path:
    """Short, and not made of the target's name, which may already be as long as the file system allows."""
    return directory / f".tts-{secrets.token_hex(4)}.part"


def _held(handle: int, draft: Path) -> int | None:
    """`handle` of the draft that has just been made, locked until it is closed; None where it was swept before that."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if draft.exists():
            return handle
    except BlockingIOError:
        pass
    except OSError:  # a file system without locks, on which nobody sweeps
        return handle
    os.close(handle)
    return None


def _sweep(directory: Path) -> None:
    """Delete the drafts of processes that were killed. What cannot be deleted stays."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if _DRAFT.fullmatch(entry.name):
                with suppress(OSError):  # its writer is there; or another process has swept it
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
