"""Files that are there whole or not at all: written beside their place, and renamed into it when they are complete."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["Draft", "is_full", "replacing"]


def is_full(error: OSError) -> bool:
    """Whether it says that there is no space left, or no more for this user."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


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


class Draft:
    """A file that is written beside `path` until `commit` puts it there.

    What stood at `path` gives the new file its mode and owner. A symbolic link stays: its target is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._target = Path(os.path.realpath(path))
        # Short, and not made of the target's name, which may already be as long as the file system allows.
        self._part = self._target.with_name(f".tts-{secrets.token_hex(4)}.part")
        self._file: BinaryIO | None = None

    def open(self) -> BinaryIO:
        """Create the draft, for writing and reading. Raises as `replacing` does."""
        old = _replaceable(self._target)
        mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777  # the system takes the umask off
        handle = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self._file = os.fdopen(handle, "w+b")
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
        """Leave nothing of it. Does nothing after `commit`."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written is not wanted any more
                self._file.close()
        self._part.unlink(missing_ok=True)


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
