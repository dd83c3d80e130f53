"""What hangs on a tiny checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tts_cli.engines.chatterbox import S3GenDecoder


@pytest.fixture(scope="session")
def decoder(tiny: Path) -> S3GenDecoder:
    return S3GenDecoder.load(tiny)


@pytest.fixture(scope="session")
def voice(tiny: Path) -> dict[str, Any]:
    """`Conditionals.gen` of the tiny checkpoint's built-in voice."""
    import torch

    return torch.load(tiny / "conds.pt", weights_only=True)["gen"]
