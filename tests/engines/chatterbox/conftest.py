"""What hangs on a tiny checkpoint."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tts_cli.engines.chatterbox import ENGINE, S3GenDecoder
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.proof.upstream import load
from tts_cli.engines.chatterbox.s3gen.flow import Prompt
from tts_cli.engines.registry import load_engine


@pytest.fixture(scope="module")
def settings(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ChatterboxSettings:
    return ChatterboxSettings(
        voices_dir=tmp_path_factory.mktemp("voices"),
        model_dir=tiny,
        device="cpu",
        watermark=False,
        precision="fp32",
        threads=1,
    )


@pytest.fixture(scope="module")
def engine(settings: ChatterboxSettings) -> ChatterboxEngine:
    loaded = load_engine(ENGINE, settings)
    assert isinstance(loaded, ChatterboxEngine)
    return loaded


@pytest.fixture(scope="session")
def decoder(tiny: Path) -> S3GenDecoder:
    return S3GenDecoder.load(tiny)


@pytest.fixture(scope="session")
def full_decoder(full: Path) -> S3GenDecoder:
    return S3GenDecoder.load(full)


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


@pytest.fixture(scope="session")
def upstream_code() -> ModuleType:
    """`chatterbox.tts_turbo` of upstream. Importing it takes long, so one worker runs all tests that ask for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("chatterbox.tts_turbo")


@pytest.fixture(scope="session")
def loaded_upstream(full: Path, upstream_code: ModuleType) -> Any:
    """Upstream's own class with the full weights."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return load(str(full), "cpu")


@pytest.fixture(scope="module")
def upstream_model(loaded_upstream: Any) -> Iterator[Any]:
    """The same. What a module's tests set in it is as before for the next module."""
    t3, conds = loaded_upstream.t3, loaded_upstream.conds
    bias = t3.speech_head.bias.detach().clone()
    yield loaded_upstream
    loaded_upstream.conds = conds
    t3.speech_head.bias.data.copy_(bias)
    vars(t3).pop("inference_turbo", None)


@pytest.fixture
def inference() -> Iterator[None]:
    """For tests that call networks themselves."""
    with torch.inference_mode():
        yield
