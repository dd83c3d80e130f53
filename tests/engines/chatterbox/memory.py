"""How much memory of this process are pages of a file, on Linux."""

from __future__ import annotations

import re
from pathlib import Path


def mapped_bytes(file: Path) -> int:
    """The bytes of `file` that this process has mapped and read."""
    found, here = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-", line):
            here = line.endswith(f" {file}")
        elif here and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found
