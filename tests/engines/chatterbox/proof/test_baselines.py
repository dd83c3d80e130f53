"""`tts bench --compare`: upstream's own code, in its own process, beside ours."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.harness import Run, complaint
from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.proof import baselines
from tts_cli.engines.chatterbox.proof.baselines import names_in
from tts_cli.engines.chatterbox.proof.upstream import Upstream
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN, SPEECH_VOCABULARY
from tts_cli.errors import UsageError

TEXT = "One voice, two programs."
CONDITIONALS, ENCODER = "conds.pt", "ve.safetensors"


def test_names_come_with_commas() -> None:
    assert names_in("upstream,independent") == ["upstream", "independent"]
    assert names_in(" independent , independent") == ["independent"]
    for wrong in ("best", "upstream,", "upstream;independent", ""):
        with pytest.raises(UsageError, match="choose: upstream, independent"):
            names_in(wrong)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--compare", "best"], 2, "choose: upstream, independent"),
        (["--compare", "upstream"], 2, "released sizes"),
        (["--compare", "upstream", "--engine", "builtin"], 2, "builtin"),
    ],
)
def test_what_cannot_be_compared(tts: Run, tiny: Path, options: list[str], code: int, says: str) -> None:
    result = tts("bench", "--model-dir", str(tiny), "--no-watermark", *options)
    assert result.returncode == code
    assert says in complaint(result)
    assert result.stdout == b""


def test_upstream_has_no_loader_for_nano(tiny: Path) -> None:
    with pytest.raises(UsageError, match="cannot load Chatterbox nano"):
        baselines.UpstreamProcess(ChatterboxSettings(model="nano", model_dir=tiny))


@pytest.mark.slow
def test_weights_that_upstream_cannot_load(tts: Run, tiny: Path, tmp_path: Path) -> None:
    """Of other sizes, without a `config.json` to say so. Upstream loads the voice encoder first."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "weights"
    folder.mkdir()
    for file in tiny.iterdir():
        if file.name not in ("config.json", ENCODER):
            (folder / file.name).symlink_to(file)
    save_file({name: tensor[:1].clone() for name, tensor in load_file(tiny / ENCODER).items()}, folder / ENCODER)
    result = tts("bench", "--model-dir", str(folder), "--no-watermark", "--compare", "upstream")
    assert result.returncode == 1
    assert "upstream fails" in complaint(result)
    assert "size mismatch" in complaint(result)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Upstream prints, and shows progress bars."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@pytest.fixture(scope="module")
def upstream(upstream_model: Any) -> Upstream:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(upstream_model), "from_local", lambda folder, device: upstream_model)
        return Upstream("as loaded", "cpu")


def said(upstream: Upstream, way: str, voice: Path, **options: Any) -> list[Samples]:
    import torch

    with torch.random.fork_rng(devices=[]), silence():
        return [sound.numpy() for sound in upstream.speak(way, str(voice), TEXT, seed=3, **options)]


@pytest.mark.slow
def test_upstream_speaks_so_many_tokens_in_each_way(upstream: Upstream, tiny: Path) -> None:
    (whole,) = said(upstream, "upstream", tiny / CONDITIONALS, tokens=2, chunk=2)
    assert len(whole) == (2 + 3) * SAMPLES_PER_TOKEN  # three of silence
    pieces = said(upstream, "independent", tiny / CONDITIONALS, tokens=3, chunk=2)
    assert [len(piece) for piece in pieces] == [2 * SAMPLES_PER_TOKEN, SAMPLES_PER_TOKEN]
    assert all(np.abs(piece).max() > 0.01 for piece in (whole, *pieces))


@pytest.mark.slow
def test_the_prototype_draws_the_tokens_of_upstreams_own_loop(upstream: Upstream) -> None:
    import torch

    model = upstream._model
    ids = model.tokenizer(TEXT, return_tensors="pt").input_ids
    with torch.random.fork_rng(devices=[]), silence():
        torch.manual_seed(5)
        expected = model.t3.inference_turbo(model.conds.t3, ids, max_gen_len=19)[0].tolist()
        torch.manual_seed(5)
        assert list(upstream._tokens(TEXT, 20)) == expected
    assert len(expected) == 20
    assert max(expected) < SPEECH_VOCABULARY


@pytest.mark.slow
def test_both_beside_ours(tts: Run, full: Path, tiny: Path, tmp_path: Path) -> None:
    """In the voice of a short recording, which upstream decodes again with each chunk."""
    shutil.copy(tiny / CONDITIONALS, tmp_path / "short.pt")
    voice = ("--voices-dir", str(tmp_path), "--voice", "short", "--precision", "fp32")
    options = ("--compare", "upstream,independent", "--tokens", "4", "--chunk", "2", "--runs", "1", "--warmup", "0")
    result = tts("bench", "--model-dir", str(full), *voice, "--json", *options, timeout=900)
    assert (result.returncode, result.stderr) == (0, b"")
    told = json.loads(result.stdout)
    (ours,), (whole, chunks) = told["rows"], told["baselines"]
    assert [whole["strategy"], chunks["strategy"]] == ["upstream", "independent"]
    assert [row["audio_ms"] for row in (ours, whole, chunks)] == [160, 280, 160]
    assert (whole["chunks"], chunks["chunks"]) == (1, 2)
    assert whole["ttfa_ms"] == whole["total_ms"]
    assert chunks["ttfa_ms"]["median"] < chunks["total_ms"]["median"]
    assert whole["against"] == {}
    for row in (whole, chunks):
        gain = ours["against"][row["strategy"]]
        assert gain["ttfa"] == pytest.approx(row["ttfa_ms"]["median"] / ours["ttfa_ms"]["median"], abs=0.01)
        assert gain["rtf"] == pytest.approx(row["rtf"]["median"] / ours["rtf"]["median"], abs=0.01)
