"""int8 of a T3 whose layer norms give outliers, on weights into which they were planted."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.precision.conversion import convert, install
from tts_cli.engines.chatterbox.precision.smoothing import Sample, pairs, put_norms, smoothed
from tts_cli.engines.chatterbox.proof.maps import errors, watch
from tts_cli.engines.chatterbox.proof.verdict import MapError
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, sample_of
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, T3Config, read_config

WEIGHTS = "t3_turbo_v1.safetensors"
TEXT, TOKENS = [15496, 11, 995, 13], [5, 4299, 17, 6000, 1, 2, 3]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TTS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def folder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with three channels twenty times as large, and one that is dead, in what each layer norm gives."""
    out = tmp_path_factory.mktemp("outliers")
    for name in ("config.json", "conds.pt"):
        shutil.copy(tiny / name, out / name)
    tensors = load_file(tiny / WEIGHTS)
    for norm, _layer in pairs(read_config(tiny).t3.n_layer):
        tensors[f"{norm}.weight"][[3, 11, 14]] *= 20
        tensors[f"{norm}.weight"][5] = tensors[f"{norm}.bias"][5] = 0
    save_file(tensors, out / WEIGHTS)
    return out


@pytest.fixture(scope="module")
def full(folder: Path) -> T3:
    return T3.load(folder)


@pytest.fixture(scope="module")
def prefix(full: T3, folder: Path) -> T3Prefix:
    """Of a voice that is not the one that came with the weights."""
    came = Conditionals.load(folder / "conds.pt")
    return full.prefix(-came.speaker, came.voice_tokens.flip(1))


@pytest.fixture(scope="module")
def sample(folder: Path) -> Sample:
    found = sample_of(folder)
    assert found is not None
    return found


def kl(t3: T3, full: T3, prefix: T3Prefix, tokens: list[int]) -> float:
    ours, theirs = (each.logits(prefix, TEXT, tokens).double().log_softmax(-1) for each in (t3, full))
    return float((theirs.exp() * (theirs - ours)).sum(-1).mean())


def random_t3(loud: float) -> T3:
    """Wider than the tiny checkpoint, of whose 16 channels three are no exception."""
    t3 = T3(T3Config(n_layer=2, n_embd=256, n_head=4, n_positions=128)).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for weight in t3.parameters():
        weight.copy_(0.05 * torch.randn(weight.shape, generator=generator))
    for norm, _layer in pairs(2):
        t3.get_submodule(norm).weight.fill_(1.0)  # type: ignore[operator]
        t3.get_submodule(norm).weight[[3, 111, 200]] *= loud  # type: ignore[index, operator]
    return t3


def test_outliers_cost_little_with_another_voice_too() -> None:
    """The voice that is spoken with is not the one that it was calibrated with."""
    full, plain, smooth = (random_t3(20) for _ in range(3))
    generator = torch.Generator().manual_seed(2)
    speaker, voice_tokens = (
        torch.randn(1, 256, generator=generator),
        torch.randint(SPEECH_VOCABULARY, (1, 50), generator=generator),
    )
    parts = smoothed(smooth, 2, lambda: smooth.prefix(speaker, voice_tokens))
    put_norms(smooth, parts)
    install(smooth, "int8", parts)
    convert(plain, "int8")
    prefix = full.prefix(-speaker, voice_tokens.flip(1) // 2)
    maps = watch(full, prefix, TEXT, TOKENS)
    before, after = (errors("int8", t3, maps) for t3 in (plain, smooth))

    def middle(rows: list[MapError], *names: str) -> float:
        return median(row.error for row in rows if row.map in names)

    after_norms = "attn.c_attn", "mlp.c_fc", "speech_head"
    assert middle(after, *after_norms) < middle(before, *after_norms) / 2
    assert middle(after, "attn.c_proj", "mlp.c_proj") == middle(before, "attn.c_proj", "mlp.c_proj")
    many = torch.randint(SPEECH_VOCABULARY, (60,), generator=generator).tolist()  # of few, one can be all of the mean
    assert kl(smooth, full, prefix, many) < kl(plain, full, prefix, many) / 1.5


def test_a_dead_channel_makes_nothing_that_is_no_number(folder: Path, prefix: T3Prefix, sample: Sample) -> None:
    t3 = T3.load(folder, precision="int8", sample=sample)
    assert all(bool(torch.isfinite(weight).all()) for weight in t3.parameters())
    assert bool(torch.isfinite(t3.logits(prefix, TEXT, TOKENS)).all())


def test_the_kept_copy_gives_the_same_and_serves_every_voice(
    folder: Path, prefix: T3Prefix, sample: Sample, cache: Path
) -> None:
    def said() -> Tensor:
        return T3.load(folder, precision="int8", sample=sample).logits(prefix, TEXT, TOKENS)

    first = said()
    (file,) = cache.iterdir()
    made = file.stat().st_mtime_ns, file.stat().st_ino
    assert torch.equal(said(), first)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == made
    other = Sample(-sample.speaker, sample.voice_tokens)
    T3.load(folder, precision="int8", sample=other)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) != made, "weights come with another voice now"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int4"])
def test_other_precisions_are_what_they_were(folder: Path, prefix: T3Prefix, sample: Sample, precision: str) -> None:
    without, with_sample = (
        T3.load(folder, precision=precision, sample=each).logits(prefix, TEXT, TOKENS) for each in (None, sample)
    )
    assert torch.equal(without, with_sample)


def test_a_prefix_is_still_that_of_fp32(folder: Path, full: T3, sample: Sample) -> None:
    voice = Conditionals.load(folder / "conds.pt")
    found = T3.load(folder, precision="int8", sample=sample).prefix(voice.speaker, voice.voice_tokens)
    expected = full.prefix(voice.speaker, voice.voice_tokens)
    assert torch.equal(found.keys, expected.keys)
    assert torch.equal(found.values, expected.values)


def test_weights_without_a_voice_or_with_a_damaged_one_are_not_calibrated(folder: Path, tmp_path: Path) -> None:
    assert sample_of(tmp_path) is None
    (tmp_path / "conds.pt").write_bytes((folder / "conds.pt").read_bytes()[:1000])
    assert sample_of(tmp_path) is None


def test_the_engine_calibrates_with_the_voice_that_came_with_the_weights(tiny: Path, tmp_path: Path) -> None:
    settings = ChatterboxSettings(voices_dir=tmp_path, model_dir=tiny, device="cpu", precision="int8")
    spoken, full = ChatterboxEngine(settings)._t3, T3.load(tiny)
    norms = [norm for norm, _layer in pairs(full.config.n_layer)]
    kept = [torch.equal(*(t3.get_parameter(f"{norm}.weight") for t3 in (spoken, full))) for norm in norms]
    assert not all(kept)
