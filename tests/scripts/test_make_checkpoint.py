"""The script's folders speak; what cannot be written is said in one line and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import make_checkpoint
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.harness import ROOT
from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.flow import Flow
from tts_cli.engines.chatterbox.s3gen.hift import HiFT
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, ModelConfig, read_config
from tts_cli.engines.chatterbox.weights.tensors import stored_shapes

Make = Callable[..., "subprocess.CompletedProcess[str]"]
TEXT = "Hello there [laugh], it's 3 o'clock — naïve?"


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Make:
    """Runs the script in this process."""

    def run(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["make_checkpoint.py", str(out), *options])
        code = make_checkpoint.main()
        return subprocess.CompletedProcess(sys.argv, code, *capsys.readouterr())

    return run


def test_a_tiny_folder_holds_the_upstream_files(tiny: Path) -> None:
    assert {each.name for each in tiny.iterdir()} == {
        *(
            "t3_turbo_v1.safetensors",
            "s3gen_meanflow.safetensors",
            "ve.safetensors",
            "conds.pt",
            "config.json",
        ),
        *(
            "vocab.json",
            "merges.txt",
            "added_tokens.json",
            "special_tokens_map.json",
            "tokenizer_config.json",
        ),
    }
    assert sum(each.stat().st_size for each in tiny.iterdir()) < 25_000_000


def test_a_seed_fixes_the_weights_and_another_changes_them(tiny: Path, tmp_path: Path, make: Make) -> None:
    """Nano differs from Turbo in T3 alone."""
    assert make(tmp_path / "nano", "--seed", "7", "--model", "nano").returncode == 0
    assert make(tmp_path / "other", "--seed", "8").returncode == 0
    assert read_config(tmp_path / "nano").t3_file == "t3_nano_v1.safetensors"
    assert not (tmp_path / "nano" / "t3_turbo_v1.safetensors").exists()
    first, same, other = (
        load_file(folder / "s3gen_meanflow.safetensors") for folder in (tiny, tmp_path / "nano", tmp_path / "other")
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_its_voice_speaks_audibly_and_within_bounds(tiny: Path) -> None:
    voice = torch.load(tiny / "conds.pt", weights_only=True)["gen"]
    sound = S3GenDecoder.load(tiny).whole(voice, np.random.default_rng(1).integers(0, SPEECH_VOCABULARY, 50))
    assert np.isfinite(sound).all()
    assert np.sqrt(np.mean(sound**2)) > 0.005
    assert np.mean(np.abs(sound) > 0.98) < 0.01


def test_its_tokenizer_has_the_size_of_the_model_and_keeps_tags_whole(tiny: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers' own, on import
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert len(tokenizer) == 50_276
    ids = tokenizer(TEXT).input_ids
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.convert_tokens_to_ids("[laugh]") in ids
    assert len(ids) < len(TEXT)


def test_its_voice_is_one_upstream_would_load(tiny: Path) -> None:
    loaded = torch.load(tiny / "conds.pt", weights_only=True)
    assert set(loaded) == {"t3", "gen"}
    gen = loaded["gen"]
    assert gen["prompt_feat"].shape[1] == 2 * gen["prompt_token"].shape[1] == 2 * int(gen["prompt_token_len"])


def test_turbos_names_and_shapes_are_those_of_the_released_model() -> None:
    """Counts from upstream's own modules at full size; the slow tests load a full folder into them."""
    config = ModelConfig()
    flow = stored_shapes(lambda: Flow(config), "flow.")
    vocoder = stored_shapes(lambda: HiFT(config.vocoder), "mel2wav.")
    assert flow["flow.decoder.estimator.time_embed_mixer.weight"] == (1024, 2048)
    assert vocoder["mel2wav.ups.0.parametrizations.weight.original1"] == (512, 256, 16)
    elements = [sum(int(np.prod(shape)) for shape in shapes.values()) for shapes in (flow, vocoder)]
    assert elements == [114_646_512, 20_821_295]


def test_an_existing_folder_is_left_alone(tmp_path: Path, make_checkpoint: Make) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "notes.txt").write_text("keep")
    done = make_checkpoint(out)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "already there" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]
    assert (out / "notes.txt").read_text() == "keep"


def test_a_place_that_is_not_there_is_said_in_one_line(tmp_path: Path, make: Make) -> None:
    done = make(tmp_path / "nowhere" / "out")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No such file" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "make_checkpoint.py"
    # A file may not grow beyond 1 MB: the third is the first to fail, as on a full disk.
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        f"sys.argv = ['make_checkpoint', {str(tmp_path / 'out')!r}];"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    environment = os.environ | {"PYTHONPATH": str(script.parents[1])}
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot write" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_tiny_sizes_are_in_its_config(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    assert set(config) == {"t3", "encoder", "estimator", "vocoder"}
    assert config["vocoder"]["f0_cond_channels"] == read_config(tiny).vocoder.f0_cond_channels
