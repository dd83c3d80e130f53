"""What hangs on a tiny checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.flow import Prompt


@pytest.fixture(scope="session")
def decoder(tiny: Path) -> S3GenDecoder:
    return S3GenDecoder.load(tiny)


@pytest.fixture(scope="session")
def voice(tiny: Path) -> dict[str, Any]:
    """`Conditionals.gen` of the tiny checkpoint's built-in voice."""
    gen: dict[str, Any] = torch.load(tiny / "conds.pt", weights_only=True)["gen"]
    return gen


@pytest.fixture(scope="session")
def prompt(decoder: S3GenDecoder, voice: dict[str, Any]) -> Prompt:
    """The same voice, as the flow takes it."""
    with torch.inference_mode():
        return decoder.flow.prompt(voice)


@pytest.fixture
def inference() -> Iterator[None]:
    """For tests that call networks themselves."""
    with torch.inference_mode():
        yield
