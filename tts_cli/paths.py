"""Paths that a user has named: what the system says of them becomes an error in one line, with what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tts_cli.errors import OutputError, TTSError, UsageError

__all__ = ["cannot", "check_place", "expanded", "explained", "is_full"]


def expanded(path: str | Path) -> Path:
    """`path`, with the home of a user in place of `~`; unchanged where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  the method of `Path` raises where there is none


def is_full(error: Exception) -> bool:
    """Whether it says that there is no space left, or no more for this user."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def cannot(do: str, path: str | Path, error: Exception, remedy: str, kind: type[TTSError] = UsageError) -> TTSError:
    """The error for a path with which something cannot be done.

    Parameters
    ----------
    do
        What cannot be done: "read", "write to".
    path
        What it cannot be done with.
    error
        What the system says, or Python of a name that no file can have.
    remedy
        What to do about it.
    kind
        The class of the error that is made.
    """
    reason = getattr(error, "strerror", None) or str(error)
    return kind(f"cannot {do} {path}: {reason}", remedy)


@contextmanager
def explained(do: str, path: str | Path, remedy: str, kind: type[TTSError] = UsageError) -> Iterator[None]:
    """Raise what the system says in this block, and what is wrong with a name, as `cannot` words it.

    `path` is named where the system names no file.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character, or one that no name can hold
        raise cannot(do, getattr(error, "filename", None) or path, error, remedy, kind) from error


def check_place(path: Path) -> None:
    """Raise unless a file could stand at `path`: `UsageError`, or `OutputError` for what the system says."""
    with explained("write", path, "choose another place", OutputError):
        if "\0" in str(path):  # `is_dir` says no more than that there is none
            raise ValueError("no name can hold a null character")
        is_folder, has_place = path.is_dir(), path.parent.is_dir()
    if is_folder:
        raise UsageError(f"{path} is a directory", "give the name of a file")
    if not has_place:
        raise UsageError(f"there is no directory {path.parent}", f"create it first: mkdir -p {path.parent}")
