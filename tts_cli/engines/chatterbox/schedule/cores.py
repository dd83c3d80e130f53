"""How many cores this process may use: those it may run on, and no more than its control groups grant."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/")


def cores(root: Path = _ROOT) -> int:
    """At least one. Of a fraction that a quota grants, a core works some of the time, so it counts whole.

    `root` holds `proc` and `sys`, where the system has them.
    """
    # macOS has neither affinity nor control groups.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores granted by each control group that this process is in, and by those around it; those without limit not."""
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:  # version 2, which stands beside version 1 as `unified`
            for folder in (mounted, mounted / "unified"):
                yield from _granted(folder, group, "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in (mounted / controllers, mounted / "cpu"):
                yield from _granted(folder, group, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _granted(mounted: Path, group: str, *files: str) -> Iterator[float]:
    """What `group` and those around it grant, told as quota and period. In a container, some have no folder."""
    path = PurePosixPath(group.lstrip("/"))
    if ".." in path.parts:  # a group outside of what this process can see
        path = PurePosixPath()
    for each in (path, *path.parents):
        told = " ".join(_text(mounted / each / file) for file in files).split()
        if len(told) == 2 and all(word.isdecimal() for word in told) and int(told[1]) > 0:
            yield int(told[0]) / int(told[1])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
