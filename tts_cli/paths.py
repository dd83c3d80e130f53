"""Paths that a user has named. An error of the system becomes a `TTSError` with a remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tts_cli.errors import OutputError, TTSError, UsageError

__all__ = ["cannot", "check_place", "expanded", "explained", "is_full"]


def expanded(path: str | Path) -> Path:
    """`path` with the home of a user instead of `~`; unchanged if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  the method of `Path` raises where there is none


def is_full(error: Exception) -> bool:
    """Whether `error` means that the disk or the quota of this user is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def cannot(do: str, path: str | Path, error: Exception, remedy: str, kind: type[TTSError] = UsageError) -> TTSError:
    """The error for a path with which something cannot be done.

    Parameters
    ----------
    do
        What cannot be done: "read", "write to".
    path
        The path.
    error
        The error of the system, or Python's error for a name that no file can have.
    remedy
        What to do about it.
    kind
        The class of the error that is returned.

    Returns
    -------
    TTSError
        An instance of `kind`.

    Examples
    --------
    >>> str(cannot("read", "x.txt", OSError(2, "No such file or directory"), "check its name"))
    'cannot read x.txt: No such file or directory; check its name'
    """
    reason = getattr(error, "strerror", None) or str(error)
    return kind(f"cannot {do} {path}: {reason}", remedy)


@contextmanager
def explained(do: str, path: str | Path, remedy: str, kind: type[TTSError] = UsageError) -> Iterator[None]:
    """Raise errors of the system in the block as a `TTSError`, as a context manager.

    Parameters
    ----------
    do, path, remedy, kind
        As for `cannot`. If the system's error names a file, that one is shown instead of `path`.

    Raises
    ------
    TTSError
        What `cannot` returns, if the block raises an `OSError` or a `ValueError`.

    Examples
    --------
    >>> with explained("read", "notes.txt", "check its name"):
    ...     raise OSError(2, "No such file or directory")
    Traceback (most recent call last):
    tts_cli.errors.UsageError: cannot read notes.txt: No such file or directory; check its name
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a character that no name can hold
        raise cannot(do, getattr(error, "filename", None) or path, error, remedy, kind) from error


def check_place(path: Path) -> None:
    """Check that a file can be made at `path`.

    Raises
    ------
    UsageError
        If there is a directory at `path`, or no directory to hold it.
    OutputError
        If the system does not let us look.
    """
    with explained("write", path, "choose another place", OutputError):
        if "\0" in str(path):  # `is_dir` only returns False
            raise ValueError("no name can hold a null character")
        is_folder, has_place = path.is_dir(), path.parent.is_dir()
    if is_folder:
        raise UsageError(f"{path} is a directory", "give the name of a file")
    if not has_place:
        raise UsageError(f"there is no directory {path.parent}", f"create it first: mkdir -p {path.parent}")
