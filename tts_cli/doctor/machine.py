"""Checks of Python, its packages, the processor and the disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from tts_cli import __version__
from tts_cli.cores import cores, quota
from tts_cli.errors import MissingError, TTSError
from tts_cli.finding import Finding, finding, versions
from tts_cli.paths import explained

PROJECT: Final = "tts-cli"
LEAST_FREE: Final = 1_000_000_000
"""Bytes that should be free on a disk that sound is written to: six hours of WAV."""


def findings() -> Iterator[Finding]:
    """Run all checks of this module."""
    yield finding("tts", _program)
    yield finding("Python", _python)
    yield finding("packages", _packages, otherwise="missing")
    yield finding("sound files", _sound_files, otherwise="missing")
    yield finding("processor", _processor)
    yield finding("disk", _disk)


def _program() -> str:
    return f"{__version__} in {Path(__file__).resolve().parents[1]}"


def _python() -> str:
    return f"{platform.python_version()} ({sys.executable}) on {platform.system()} {platform.release()}"


def _packages() -> str:
    """The versions of the packages that every engine needs, as this package's own metadata lists them."""
    try:
        required = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError as error:
        raise TTSError("tts is not installed, only imported", "run: pip install . (in its clone)") from error
    # A line with a marker is for an extra, or for another system.
    needed = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required if ";" not in line]
    return versions(needed, "run: pip install . (in its clone)")


def _sound_files() -> str:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise MissingError(
            f"soundfile cannot be imported ({error})", "run: pip install --force-reinstall soundfile"
        ) from error
    return f"libsndfile {soundfile.__libsndfile_version__}"


def _processor() -> str:
    there, limit = os.cpu_count() or 1, quota()
    said = f"{cores()} of {there} cores ({platform.machine()})"
    if limit is None or limit >= there:
        return said
    if limit < 1:
        raise TTSError(
            f"{said}, and a control group allows only {limit:g} of one core", "raise its quota to one core or more"
        )
    return f"{said}; a control group allows {limit:g}"


def _disk() -> str:
    folder = Path.cwd()
    with explained("look at", folder, "change into another folder"):
        free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise TTSError(f"{size(free)} free in {folder}", "free some space before you write long sound files there")
    return f"{size(free)} free in {folder}"


def size(count: int) -> str:
    """`count` bytes in words, such as `3.2 GB`."""
    from rich.filesize import decimal

    return decimal(count)
