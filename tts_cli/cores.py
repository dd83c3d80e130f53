"""Counts the cores that this process may use: those it may run on, but no more than its control groups allow.

Linux documents the files in `Documentation/admin-guide/cgroup-v2.rst` and `Documentation/scheduler/sched-bwc.rst`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/")


def cores(root: Path = _ROOT) -> int:
    """The number of cores, at least 1. A fraction of a core, as a quota can allow it, counts as one core.

    Parameters
    ----------
    root
        The folder that holds `proc` and `sys`. Systems other than Linux do not have them.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    # macOS has neither affinity nor control groups.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = quota(root)
    return max(1, allowed if limit is None else min(allowed, math.ceil(limit)))


def quota(root: Path = _ROOT) -> float | None:
    """The smallest limit of the control groups that hold this process, in cores; None if they have no limit.

    Parameters
    ----------
    root
        As for `cores`.
    """
    return min(_quotas(root), default=None)


def _quotas(root: Path) -> Iterator[float]:
    """The limit, in cores, of each control group that holds this process, if the group has a limit."""
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:  # version 2, mounted as `unified` if version 1 is there, too
            for folder in (mounted, mounted / "unified"):
                yield from _granted(folder, group, "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in (mounted / controllers, mounted / "cpu"):
                yield from _granted(folder, group, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _granted(mounted: Path, group: str, *files: str) -> Iterator[float]:
    """The limits of `group` and of the groups that contain it: quota over period, both read from `files`.

    In a container, not all of these groups have a folder.
    """
    path = PurePosixPath(group.lstrip("/"))
    if ".." in path.parts:  # the group is not visible to this process
        path = PurePosixPath()
    for each in (path, *path.parents):
        words = " ".join(_text(mounted / each / file) for file in files).split()
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:
            yield int(words[0]) / int(words[1])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
