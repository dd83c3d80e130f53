"""`tts` as a real process: how it is started, in what environment, and how long it may take."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TTS = [sys.executable, "-m", "tts_cli"]
PATIENCE = 120
"""Seconds after which a process that should have ended is taken for hung."""

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def clean_environment() -> dict[str, str]:
    """This process's environment, with our package and the test engines in reach and nothing of the user's in it."""
    # The last is set where Chatterbox's package is imported, in this process and in those that it starts.
    dropped = ("TTS_", "PYTHON", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "OMP_WAIT_POLICY")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    ours = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "TERM": "xterm-256color"}
    folders = {name: os.environ[name] for name in ("TTS_CACHE_DIR", "TTS_CONFIG_DIR")}  # the suite's own: conftest.py
    return environment | ours | folders


def read_dictionaries_once() -> None:
    """Let all engines of this process share the dictionaries of the built-in voice. Raises `ImportError` without it.

    Reading them is most of what the engine does when it loads, and it does not change them.
    """
    from hibari import g2p

    if not hasattr(g2p._load_json, "cache_info"):
        g2p._load_json = functools.cache(g2p._load_json)


def complaint(result: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that a failed run prints."""
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tts: ")
    assert b"Traceback" not in result.stderr
    return lines[0]
