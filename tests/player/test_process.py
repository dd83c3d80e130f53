"""The process that plays, by itself."""

from __future__ import annotations

import subprocess
import sys

from tests.harness import clean_environment


def test_it_starts_without_numpy_and_without_the_rest() -> None:
    code = "import sys, sounddevice, tts_cli.player.process; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=clean_environment(), check=True, capture_output=True)
    modules = done.stdout.decode().split()
    assert "numpy" not in modules
    assert {name for name in modules if name.startswith("tts_cli.")} == {
        "tts_cli.player",
        "tts_cli.player.buffer",
        "tts_cli.player.process",
        "tts_cli.player.wire",
    }
