"""The file of a voice and what is cached of it: read as upstream reads it, and never trusted."""

import errno
import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.engines.chatterbox.voice.given import assert_same, voice
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.voice.conditionals import (
    Conditionals,
    fingerprint,
    load_prefix,
    prefix_key,
    save_prefix,
)
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, T3Config
from tts_cli.errors import ModelError, UsageError


def test_upstream_reads_ours(upstream_code: Any, tmp_path: Path) -> None:
    ours = voice()
    ours.save(tmp_path / "v.pt")
    theirs = upstream_code.Conditionals.load(tmp_path / "v.pt")
    assert_same(ours, theirs.t3.speaker_emb, theirs.t3.cond_prompt_speech_tokens, theirs.gen)
    assert theirs.t3.emotion_adv.shape == (1, 1, 1)


def test_ours_reads_upstreams(upstream_code: Any, tmp_path: Path) -> None:
    ours = voice(mels=25)
    ours.save(tmp_path / "v.pt")
    theirs = upstream_code.Conditionals.load(tmp_path / "v.pt")
    theirs.save(tmp_path / "theirs.pt")
    again = Conditionals.load(tmp_path / "theirs.pt")
    assert_same(again, theirs.t3.speaker_emb, theirs.t3.cond_prompt_speech_tokens, theirs.gen)


def test_ours_reads_what_upstream_saved_after_it_spoke(upstream_code: Any, tmp_path: Path) -> None:
    """With upstream's own casts: `S3Token2Mel.forward` makes every tensor float, in place, before it computes."""
    from chatterbox.models.s3gen.s3gen import S3Token2Mel

    ours = voice(mels=25)
    ours.save(tmp_path / "v.pt")
    theirs = upstream_code.Conditionals.load(tmp_path / "v.pt")
    theirs.t3.cond_prompt_speech_emb = torch.zeros(1, 20, 64)
    network = SimpleNamespace(device="cpu", dtype=torch.float32, flow=None)
    with pytest.raises(AttributeError, match="inference"):  # of the flow that is not there: the casts are done
        S3Token2Mel.forward(network, torch.tensor([1, 2]), None, None, theirs.gen, finalize=True)
    assert theirs.gen["prompt_token"].dtype == torch.float32
    theirs.save(tmp_path / "theirs.pt")
    assert_same(Conditionals.load(tmp_path / "theirs.pt"), ours.speaker, ours.voice_tokens, dict(ours.gen))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_os_error(t3: T3) -> None:
    prefix = t3.prefix(voice().speaker, voice().voice_tokens)
    for write in (voice().save, lambda file: save_prefix(prefix, "key", file)):
        with pytest.raises(OSError, match="No space left") as caught:
            write(Path("/dev/full"))
        assert caught.value.errno == errno.ENOSPC


class Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return Path.touch, (self.proof,)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_malicious_file_executes_nothing(tmp_path: Path, old_format: bool) -> None:
    proof = tmp_path / "proof"
    file = tmp_path / "evil.pt"
    torch.save({"t3": {}, "gen": Evil(proof)}, file, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(ModelError, match="more than tensors"):
        Conditionals.load(file)
    file.write_bytes(pickle.dumps(Evil(proof)))
    with pytest.raises(ModelError, match="more than tensors"):
        Conditionals.load(file)
    assert not proof.exists()


def test_damaged_files_are_errors_and_never_tracebacks(tmp_path: Path) -> None:
    file = tmp_path / "v.pt"
    voice().save(file)
    content = file.read_bytes()
    for cut in (0, 1, 10, len(content) // 3, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:cut])
        with pytest.raises(ModelError):
            Conditionals.load(file)
    file.write_bytes(b"RIFF" + bytes(range(256)) * 40)
    with pytest.raises(ModelError):
        Conditionals.load(file)
    with pytest.raises(UsageError, match="No such file"):
        Conditionals.load(tmp_path / "none.pt")


def test_a_single_changed_number_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "v.pt"
    made = voice()
    made.save(file)
    content = file.read_bytes()
    number = made.speaker.numpy().tobytes()[:64]
    assert content.count(number) == 1
    file.write_bytes(content.replace(number, number[:-1] + bytes([number[-1] ^ 1])))
    with pytest.raises(ModelError, match="it is damaged"):
        Conditionals.load(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [], "t3 is missing"),
        (lambda c: {**c, "gen": None}, "gen is missing"),
        (lambda c: c["t3"].pop("speaker_emb"), "speaker_emb is missing"),
        (lambda c: c["t3"].update(speaker_emb=torch.zeros(256)), "speaker_emb has shape"),
        (lambda c: c["t3"].update(speaker_emb=torch.full((1, 256), torch.nan)), "finite"),
        (
            lambda c: c["t3"].update(speaker_emb=torch.zeros(1, 256).to_sparse()),
            "speaker_emb is not stored as",
        ),
        (
            lambda c: c["gen"].update(prompt_token=torch.ones(1, 3, dtype=torch.long).to_sparse()),
            "not stored as a dense",
        ),
        (lambda c: c["gen"].update(prompt_feat=torch.zeros(1, 6, 80, device="meta")), "not stored as a dense"),
        (lambda c: c["t3"].update(cond_prompt_speech_tokens=torch.tensor([[SPEECH_VOCABULARY]])), "outside 0 to 6560"),
        (lambda c: c["t3"].update(cond_prompt_speech_tokens=torch.tensor([[-1]])), "outside"),
        (lambda c: c["t3"].update(cond_prompt_speech_tokens=torch.zeros(1, 0).long()), "speech tokens"),
        (lambda c: c["gen"].update(prompt_token=torch.full((1, 3), 7.5)), "speech tokens"),
        (lambda c: c["gen"].update(prompt_token=torch.full((1, 3), torch.inf)), "outside"),
        (lambda c: c["gen"].update(prompt_token=torch.full((1, 3), torch.nan)), "speech tokens"),
        (lambda c: c["gen"].update(prompt_token=torch.full((1, 3), 6560.0).half()), "speech tokens"),
        (lambda c: c["gen"].update(prompt_token=torch.full((1, 3), 1e30)), "outside"),
        (lambda c: c["gen"].update(prompt_token=torch.zeros(1, 3, dtype=torch.complex64)), "speech tokens"),
        (lambda c: c["gen"].update(prompt_feat=torch.zeros(1, 23, 80)), "too few"),
        (lambda c: c["gen"].update(prompt_feat=torch.full((1, 24, 80), 1e9)), "prompt_feat holds numbers above"),
        (
            lambda c: c["gen"].update(embedding=torch.full((1, 192), 1e300, dtype=torch.float64)),
            "embedding holds numbers above",
        ),
        (lambda c: c["gen"].update(embedding=torch.zeros(1, 191)), "expected \\[1, 192\\]"),
    ],
)
def test_a_file_with_other_tensors_names_them(tmp_path: Path, change: Any, message: str) -> None:
    file = tmp_path / "v.pt"
    voice().save(file)
    content = torch.load(file, weights_only=True)
    changed = change(content)
    torch.save(content if changed is None or isinstance(changed, torch.Tensor) else changed, file)
    with pytest.raises(ModelError, match=message):
        Conditionals.load(file)


@pytest.fixture(scope="module")
def t3() -> T3:
    torch_state = torch.random.get_rng_state()
    model = T3(T3Config(n_layer=2, n_embd=16, n_head=2))
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(0, 0.2, generator=generator)
    torch.random.set_rng_state(torch_state)
    return model.eval()


def test_a_prefix_is_kept_for_its_key_only(tmp_path: Path, t3: T3) -> None:
    file = tmp_path / "v.t3.safetensors"
    assert load_prefix(file, "key", t3) is None
    prefix = t3.prefix(voice().speaker, voice().voice_tokens)
    save_prefix(prefix, "key", file)
    again = load_prefix(file, "key", t3)
    assert again is not None
    assert torch.equal(again.keys, prefix.keys)
    assert torch.equal(again.values, prefix.values)
    assert load_prefix(file, "other", t3) is None
    content = file.read_bytes()
    for cut in (0, 5, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:cut])
        assert load_prefix(file, "key", t3) is None
    other = T3(T3Config(n_layer=3, n_embd=16, n_head=2))
    file.write_bytes(content)
    assert load_prefix(file, "key", other) is None


def test_the_key_depends_on_model_and_voice() -> None:
    first, second = voice(), voice()
    second.voice_tokens[0, 0] += 1
    keys = {prefix_key("m", first), prefix_key("m", second), prefix_key("n", first)}
    assert len(keys) == 3
    assert prefix_key("m", voice()) in keys


def test_a_fingerprint_tells_files_apart(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    content = np.random.default_rng(0).bytes(1_000_000)
    file.write_bytes(content)
    one, known = fingerprint(file), file.stat()
    assert fingerprint(file) == one
    for changed in (content[:-1] + b"x", b"x" + content[1:], content + b"x", b""):
        file.write_bytes(changed)
        os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
        assert fingerprint(file) != one
    file.write_bytes(content)
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert fingerprint(file) == one
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns + 1000))
    assert fingerprint(file) != one, "changed at another time"


def test_a_matrix_changed_in_place_is_noticed_though_size_and_time_are_the_same(tmp_path: Path) -> None:
    """In a file of the released T3's size, each of its matrices, the smallest of which holds 4 MiB."""
    file, size, matrix = tmp_path / "weights", 1_915_480_052, 4 * 2**20
    with file.open("wb") as stream:
        stream.truncate(size)  # nothing of it takes room on the disk
    one, known = fingerprint(file), file.stat()
    for start in (10**6, size // 3, size - matrix - 10**6):
        with file.open("r+b") as stream:
            stream.seek(start)
            stream.write(b"x" * matrix)
        os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
        changed = fingerprint(file)
        assert changed != one
        one = changed


def test_loading_a_cached_voice_is_quick(tmp_path: Path) -> None:
    """With the sizes of Turbo and of a 10 s reference: both files, as the engine loads them."""
    t3 = SimpleNamespace(speech_emb=SimpleNamespace(weight=torch.zeros(1)), cache_shape=lambda n: (24, 16, n, 64))
    full = voice(tokens=250, mels=500)
    full.save(tmp_path / "v.pt")
    keys = torch.zeros(24, 16, 64, 376)
    save_prefix(SimpleNamespace(keys=keys, values=keys.transpose(2, 3) + 1), "key", tmp_path / "v.t3.safetensors")  # type: ignore[arg-type]
    times = []
    for _ in range(5):
        start = time.thread_time()
        Conditionals.load(tmp_path / "v.pt")
        assert load_prefix(tmp_path / "v.t3.safetensors", "key", t3) is not None  # type: ignore[arg-type]
        times.append(time.thread_time() - start)
    assert min(times) < 0.05


def test_a_voice_that_was_saved_while_it_was_trained_is_read(tiny: Path, tmp_path: Path) -> None:
    content = torch.load(tiny / "conds.pt", weights_only=True)
    expected = prefix_key("model", Conditionals.load(tiny / "conds.pt"))
    content["t3"]["speaker_emb"].requires_grad_()
    content["gen"]["embedding"].requires_grad_()
    torch.save(content, tmp_path / "v.pt")
    voice = Conditionals.load(tmp_path / "v.pt")
    embedding = voice.gen["embedding"]
    assert embedding is not None
    assert not embedding.requires_grad
    assert prefix_key("model", voice) == expected
