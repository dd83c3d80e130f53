"""The environment in which `fuzz.py` and `soak.py` run `tts`: without the user's settings, and with tiny weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SCRIPTS: Final = Path(__file__).resolve().parent.parent


def surroundings(folder: Path) -> dict[str, str]:
    """Environment variables: no loudspeaker, no network, and all files are written to `folder`.

    Parameters
    ----------
    folder
        A folder that exists.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TTS_", "HF_"))}
    for name in ("tmp", "cache", "home"):
        (folder / name).mkdir(exist_ok=True)
    ours = {"TMPDIR": "tmp", "TTS_CACHE_DIR": "cache", "TTS_CONFIG_DIR": "home", "HOME": "home"}
    ours |= {"XDG_RUNTIME_DIR": "home", "HF_HOME": "home"}
    kept |= {name: str(folder / value) for name, value in ours.items()}
    kept |= {"TTS_VOICES_DIR": str(folder / "case" / "voices"), "HF_HUB_OFFLINE": "1"}
    kept |= {"PULSE_SERVER": "unix:/nonexistent", "PYTHONWARNINGS": "ignore"}
    return kept | {"PYTHONPATH": os.pathsep.join([str(SCRIPTS.parent), os.environ.get("PYTHONPATH", "")])}


def make_checkpoint(folder: Path) -> Path:
    """Make tiny random weights in `folder`, and return it.

    Parameters
    ----------
    folder
        It must not exist yet.
    """
    command = [sys.executable, str(SCRIPTS / "make_checkpoint.py"), str(folder), "--size", "tiny", "--seed", "7"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder
