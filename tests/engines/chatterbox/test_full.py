"""At full size, with random weights: upstream's own class on one side, the engine on the other."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.given import Given
from tts_cli.engines.chatterbox import engine as engine_module
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings, Sampling
from tts_cli.engines.chatterbox.s3gen.noise import GivenNoise
from tts_cli.engines.chatterbox.t3.batch import Batch
from tts_cli.engines.chatterbox.t3.model import TokenRequest

pytestmark = pytest.mark.slow

TEXT = "One voice, two programs."


@pytest.fixture(scope="module")
def upstream(upstream_model: Any) -> Any:
    return upstream_model


@pytest.fixture(scope="module")
def engine(full: Path, tmp_path_factory: pytest.TempPathFactory) -> ChatterboxEngine:
    voices = tmp_path_factory.mktemp("voices")
    return ChatterboxEngine(
        ChatterboxSettings(
            voices_dir=voices, model_dir=full, device="cpu", watermark=False, precision="fp32", threads=1
        )
    )


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Upstream's draws come from torch's global generator; its progress bars go nowhere."""
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stderr(io.StringIO()):
        torch.manual_seed(seed)
        yield


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=1)], ids=["sampled", "greedy"])
def test_the_tokens_are_upstreams(upstream: Any, engine: ChatterboxEngine, sampling: Sampling) -> None:
    ids = engine._tokenizer.encode(TEXT)
    assert ids == upstream.tokenizer(TEXT)["input_ids"]
    with seeded(3):
        expected = upstream.t3.inference_turbo(
            upstream.conds.t3, torch.tensor([ids]), top_k=sampling.top_k, max_gen_len=9
        )
    request = TokenRequest(engine._voices.get("default").prefix, ids, sampling, seed=3, budget=10)
    assert list(engine._t3.tokens(request)) == expected[0].tolist()
    batch = Batch(engine._t3)
    rows = [batch.row(replace(request, seed=seed, budget=budget)) for seed, budget in ((3, 10), (1, 7), (2, 14))]
    drawn: list[int | None] = []
    while not rows[0].ended:
        drawn.append(batch.step([row for row in rows if not row.ended])[0])
    assert [each for each in drawn if each is not None] == expected[0].tolist(), "in company that ends before"


def test_simple_mode_is_upstreams_generate(
    upstream: Any, engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the watermark, on the noise that upstream draws for S3Gen."""
    monkeypatch.setattr(engine_module, "token_budget", lambda text: 6)
    monkeypatch.setattr(upstream.t3, "inference_turbo", partial(upstream.t3.inference_turbo, max_gen_len=5))
    monkeypatch.setattr(upstream.watermarker, "apply_watermark", lambda wav, sample_rate: wav)
    drawn: dict[str, list[torch.Tensor]] = {"randn": [], "randn_like": [], "rand": []}
    with monkeypatch.context() as patch:
        for name, draws in drawn.items():
            patch.setattr(torch, name, partial(_recorded, getattr(torch, name), draws))
        with seeded(4):
            expected = upstream.generate(TEXT)[0].numpy()
    mels, (start, source, *_), (phase,) = drawn["randn"][0], drawn["randn_like"], drawn["rand"]
    phase = (2 * phase.reshape(-1) - 1) * torch.pi
    phase[0] = 0
    noise = GivenNoise(start[0, :, : start.shape[2] - mels.shape[2]], mels[0], phase, source[0])
    whole = partial(engine._decoder.whole, noise=noise)
    monkeypatch.setattr(engine._decoder, "whole", lambda gen, tokens, seed: whole(gen, tokens))
    (chunk,) = engine.stream(Given(TEXT), "default", ChatterboxOptions(mode="simple", seed=4))
    assert chunk.samples.shape == expected.shape
    assert np.abs(expected).max() > 0.01
    assert np.abs(chunk.samples - expected).max() < 1e-4


def _recorded(draw: Any, draws: list[torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
    values: torch.Tensor = draw(*args, **kwargs)
    draws.append(values.clone())
    return values
