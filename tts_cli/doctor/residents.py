"""Looks for engines that `tts speak --keep-warm` keeps."""

from __future__ import annotations

from collections.abc import Iterator

from tts_cli.errors import TTSError
from tts_cli.finding import Finding
from tts_cli.resident.control import residents

TOPIC = "kept engine"


def findings() -> Iterator[Finding]:
    """A line for each that runs; none if none does, or if what it needs is not installed."""
    try:
        for each in residents():
            if each.pid is None:
                yield Finding(TOPIC, "advice", f"a process does not answer; its log is {each.place.log}", "kill it")
            else:
                yield Finding(TOPIC, "ok", str(each))
    except TTSError:
        return
