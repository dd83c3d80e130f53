"""A tiny checkpoint, made once a session by the script that users run, and what hangs on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tts_cli.engines.chatterbox import S3GenDecoder

MAKE_CHECKPOINT = Path(__file__).parents[2] / "scripts" / "make_checkpoint.py"


Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def make_checkpoint() -> Make:
    """Runs the script as a user does."""

    def make(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(MAKE_CHECKPOINT), str(out), *options]
        environment = {"PYTHONPATH": str(MAKE_CHECKPOINT.parents[1])}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Make) -> Path:
    out = tmp_path_factory.mktemp("checkpoints") / "tiny"
    done = make_checkpoint(out, "--size", "tiny", "--seed", "7")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def decoder(tiny: Path) -> S3GenDecoder:
    return S3GenDecoder.load(tiny)


@pytest.fixture(scope="session")
def voice(tiny: Path) -> dict[str, Any]:
    """`Conditionals.gen` of the tiny checkpoint's built-in voice."""
    import torch

    return torch.load(tiny / "conds.pt", weights_only=True)["gen"]
