"""Where resident processes of tests are found."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from tests.resident.keeping import pids


@pytest.fixture
def environment(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """With a folder for sockets, whose path is short, and without processes afterwards."""
    folder = tempfile.mkdtemp(prefix="tts")
    try:
        yield environment | {"XDG_RUNTIME_DIR": folder}
        for pid in pids(folder):
            os.kill(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(folder)
