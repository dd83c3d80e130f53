"""T3 in other precisions, and the copy that is kept of its weights."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import warm
from tests.engines.chatterbox.memory import mapped_bytes
from tests.harness import PATIENCE
from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.precision import weight_cache
from tts_cli.engines.chatterbox.precision.quantised_layers import Int4Linear, Int8Linear
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS, SPEECH_VOCABULARY

TEXT, TOKENS = [15496, 11, 995, 13], [5, 4299, 17, 6000, 1, 2, 3]
WEIGHTS = "t3_turbo_v1.safetensors"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TTS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """T3's files, to be changed."""
    (tmp_path / "model").mkdir()
    for name in ("config.json", WEIGHTS):
        shutil.copy(tiny / name, tmp_path / "model" / name)
    return tmp_path / "model"


@pytest.fixture(scope="module")
def voice(tiny: Path) -> Conditionals:
    return Conditionals.load(tiny / "conds.pt")


def distance(t3: T3, other: T3, prefix: T3Prefix) -> float:
    """KL divergence in nats, of the token distributions of `t3` from those of `other`, at worst."""
    ours, theirs = (model.logits(prefix, TEXT, TOKENS).log_softmax(-1) for model in (t3, other))
    return float((theirs.exp() * (theirs - ours)).sum(-1).max())


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("kind", ["bf16", "int8", "int4"])
def test_every_precision_is_close_to_fp32(folder: Path, voice: Conditionals, kind: str) -> None:
    full, t3 = T3.load(folder), T3.load(folder, precision=kind)
    prefix = full.prefix(voice.speaker, voice.voice_tokens)
    assert 0 < distance(t3, full, prefix) < {"bf16": 1e-3, "int8": 1e-3, "int4": 0.05}[kind]
    assert len(list(t3.tokens(TokenRequest(prefix, TEXT, exactly=20)))) == 20


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("kind", ["bf16", "int8", "int4"])
def test_a_prefix_is_that_of_fp32(folder: Path, voice: Conditionals, kind: str) -> None:
    full, other = (T3.load(folder, precision=each).prefix(voice.speaker, voice.voice_tokens) for each in ("fp32", kind))
    assert torch.equal(full.keys, other.keys)
    assert torch.equal(full.values, other.values)


def test_logits_are_those_that_tokens_are_drawn_from(folder: Path, voice: Conditionals) -> None:
    t3 = T3.load(folder)
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    greedy = list(t3.tokens(TokenRequest(prefix, TEXT, Sampling(temperature=0), exactly=8)))
    logits = t3.logits(prefix, TEXT, greedy)
    assert logits.shape == (9, SPEECH_IDS)
    assert logits[:-1, :SPEECH_VOCABULARY].argmax(-1).tolist() == greedy


@pytest.mark.parametrize(("kind", "layer"), [("int8", Int8Linear), ("int4", Int4Linear)])
def test_a_copy_is_kept_and_used(
    folder: Path, cache: Path, voice: Conditionals, kind: str, layer: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = T3.load(folder, precision=kind)
    (file,) = cache.iterdir()
    assert file == weight_cache.place(folder / WEIGHTS, kind)
    before = file.stat().st_mtime_ns
    monkeypatch.setattr(layer, "parts", None)  # what would make it again
    second = T3.load(folder, precision=kind)
    assert file.stat().st_mtime_ns == before
    prefix = second.prefix(voice.speaker, voice.voice_tokens)
    assert torch.equal(first.logits(prefix, TEXT, TOKENS), second.logits(prefix, TEXT, TOKENS))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, memory is not looked at")
def test_nothing_of_the_copy_stays_in_memory_when_all_is_packed(folder: Path, cache: Path) -> None:
    T3.load(folder, precision="int8")
    (file,) = cache.iterdir()
    t3 = T3.load(folder, precision="int8")
    if any(layer.codes is not None for layer in t3.modules() if isinstance(layer, Int8Linear)):
        assert mapped_bytes(file) > 0
    t3.settle()
    assert mapped_bytes(file) == 0


def test_fp32_and_bf16_keep_nothing(folder: Path, cache: Path) -> None:
    T3.load(folder)
    T3.load(folder, precision="bf16")
    assert not cache.exists()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def zero_a_block(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-9000:-8000] = bytes(1000)
    file.write_bytes(content)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 64
    file.write_bytes(content)


def of_another_key(file: Path) -> None:
    save_file(load_file(file), file, {"key": "1 other"})


@pytest.mark.parametrize(
    "damage", [cut, zero_a_block, flip_a_bit, of_another_key, lambda file: file.write_bytes(b""), Path.unlink]
)
def test_a_copy_that_is_damaged_is_made_again(
    folder: Path, cache: Path, voice: Conditionals, damage: Callable[[Path], None]
) -> None:
    first = T3.load(folder, precision="int8")
    (file,) = cache.iterdir()
    content = file.read_bytes()
    damage(file)
    again = T3.load(folder, precision="int8")
    prefix = first.prefix(voice.speaker, voice.voice_tokens)
    assert torch.equal(first.logits(prefix, TEXT, TOKENS), again.logits(prefix, TEXT, TOKENS))
    assert file.read_bytes() == content
    assert list(cache.iterdir()) == [file]


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_copy_of_other_weights_is_replaced(
    folder: Path, cache: Path, voice: Conditionals, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    T3.load(folder, precision=kind)
    (file,) = cache.iterdir()
    tensors = load_file(folder / WEIGHTS)
    save_file({name: tensor * 1.5 for name, tensor in tensors.items()}, folder / WEIGHTS)
    t3 = T3.load(folder, precision=kind)
    assert list(cache.iterdir()) == [file], "one copy of a weights file at a time"
    monkeypatch.setenv("TTS_CACHE_DIR", str(cache / "empty"))
    fresh = T3.load(folder, precision=kind)
    prefix = t3.prefix(voice.speaker, voice.voice_tokens)
    assert torch.equal(t3.logits(prefix, TEXT, TOKENS), fresh.logits(prefix, TEXT, TOKENS))


def test_another_version_of_torch_makes_its_own_int4(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    T3.load(folder, precision="int4")
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    T3.load(folder, precision="int4")
    assert file.stat().st_mtime_ns != before


@pytest.mark.parametrize("place", ["/dev/null/none", "/proc/none"])
def test_where_nothing_can_be_written_it_works_all_the_same(
    folder: Path, voice: Conditionals, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_CACHE_DIR", place)
    t3 = T3.load(folder, precision="int8")
    assert distance(t3, T3.load(folder), t3.prefix(voice.speaker, voice.voice_tokens)) < 1e-3


def load_three_times(folder: Path, cache: Path, told: Connection) -> None:
    os.environ["TTS_CACHE_DIR"] = str(cache)
    told.send([len(list(T3.load(folder, precision="int8").modules())) for _ in range(3)])


def test_two_processes_at_once(folder: Path, cache: Path) -> None:
    warm.warm_process()
    context = multiprocessing.get_context("forkserver")
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    both = [context.Process(target=load_three_times, args=(folder, cache, told)) for _, told in pipes]
    for process in both:
        process.start()
    for (_, told), process in zip(pipes, both, strict=True):
        told.close()
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0]
    counts = [heard.recv() for heard, _ in pipes]
    assert len({*counts[0], *counts[1]}) == 1
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    T3.load(folder, precision="int8")
    assert file.stat().st_mtime_ns == before
