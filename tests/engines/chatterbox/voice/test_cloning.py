import errno
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import librosa
import numpy as np
import pytest
import soundfile
import torch

from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.voice import cloning
from tts_cli.engines.chatterbox.voice.cloning import at_upstream_loudness, prepare, read_recording, resample
from tts_cli.engines.chatterbox.voice.conditionals import (
    Conditionals,
    fingerprint,
    load_prefix,
    prefix_key,
    save_prefix,
)
from tts_cli.engines.chatterbox.voice.past import past_of
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, T3Config
from tts_cli.errors import MissingError, ModelError, UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from chatterbox.tts_turbo import Conditionals as UpstreamConditionals


def voice(tokens: int = 12, mels: int = 24) -> Conditionals:
    generator = torch.Generator().manual_seed(3)
    return Conditionals(
        torch.randn(1, 256, generator=generator),
        torch.randint(0, SPEECH_VOCABULARY, (1, 20), generator=generator),
        {
            "prompt_token": torch.randint(0, SPEECH_VOCABULARY, (1, tokens), generator=generator),
            "prompt_token_len": torch.tensor([tokens]),
            "prompt_feat": torch.randn(1, mels, 80, generator=generator),
            "prompt_feat_len": None,
            "embedding": torch.randn(1, 192, generator=generator),
        },
    )


def assert_same(ours: Conditionals, speaker: torch.Tensor, tokens: torch.Tensor, gen: dict[str, Any]) -> None:
    torch.testing.assert_close(ours.speaker, speaker, rtol=0, atol=0)
    torch.testing.assert_close(ours.voice_tokens, tokens, rtol=0, atol=0)
    assert ours.gen.keys() == gen.keys()
    for name, value in ours.gen.items():
        if value is None:
            assert gen[name] is None
        else:
            torch.testing.assert_close(value, gen[name], rtol=0, atol=0)


def test_upstream_reads_ours(tmp_path: Path) -> None:
    ours = voice()
    ours.save(tmp_path / "v.pt")
    theirs = UpstreamConditionals.load(tmp_path / "v.pt")
    assert_same(ours, theirs.t3.speaker_emb, theirs.t3.cond_prompt_speech_tokens, theirs.gen)
    assert theirs.t3.emotion_adv.shape == (1, 1, 1)


def test_ours_reads_upstreams(tmp_path: Path) -> None:
    ours = voice(mels=25)
    ours.save(tmp_path / "v.pt")
    theirs = UpstreamConditionals.load(tmp_path / "v.pt")
    theirs.save(tmp_path / "theirs.pt")
    again = Conditionals.load(tmp_path / "theirs.pt")
    assert_same(again, theirs.t3.speaker_emb, theirs.t3.cond_prompt_speech_tokens, theirs.gen)


def test_ours_reads_what_upstream_saved_after_it_spoke(tmp_path: Path) -> None:
    """With upstream's own casts: `S3Token2Mel.forward` makes every tensor float, in place, before it computes."""
    from chatterbox.models.s3gen.s3gen import S3Token2Mel

    ours = voice(mels=25)
    ours.save(tmp_path / "v.pt")
    theirs = UpstreamConditionals.load(tmp_path / "v.pt")
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


def speech(seconds: float, rate: int, channels: int = 1) -> Any:
    """A buzz with a wandering pitch, in syllables: float64 `[frames, channels]`."""
    time_axis = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.4 * time_axis)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time_axis), 0, 1)
    noise = np.random.default_rng(5).normal(0, 0.01, (len(time_axis), channels))
    return 0.15 * (buzz * syllables)[:, None] + noise


@pytest.mark.parametrize(
    ("name", "sound", "rate", "message"),
    [
        ("short.wav", speech(5.0, 24_000), 24_000, "too short: 5.0 s"),
        ("empty.wav", np.zeros((0, 1)), 16_000, "too short"),
        ("silent.wav", np.zeros((16_000 * 6, 1)), 16_000, "silent"),
        ("clipped.wav", np.clip(8 * speech(6, 16_000), -1, 1), 16_000, "clipped"),
        ("clipped.flac", np.clip(8 * speech(6, 16_000, 2), -1, 1), 16_000, "clipped"),
    ],
)
def test_recordings_that_cannot_be_cloned(tmp_path: Path, name: str, sound: Any, rate: int, message: str) -> None:
    file = tmp_path / name
    soundfile.write(file, sound, rate)
    with pytest.raises(UsageError, match=message):
        read_recording(file)


def test_no_numbers(tmp_path: Path) -> None:
    sound = speech(6, 16_000)
    sound[77] = np.nan
    soundfile.write(tmp_path / "v.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(UsageError, match="not finite numbers"):
        read_recording(tmp_path / "v.wav")


def test_files_that_are_no_sound(tmp_path: Path) -> None:
    for name, content in (("text.wav", b"hello"), ("a.mp3", b""), ("b.m4a", bytes(3000))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="cannot be read as sound"):
            read_recording(tmp_path / name)
    for missing in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(UsageError, match="no file"):
            read_recording(missing)
    file = tmp_path / "cut.flac"
    soundfile.write(file, speech(8, 24_000), 24_000)
    content = file.read_bytes()
    for cut in (3, 50, len(content) // 2):
        file.write_bytes(content[:cut])
        with pytest.raises(UsageError):
            read_recording(file)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 1)])
def test_any_format_rate_and_channel_count(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    file = tmp_path / f"v.{suffix}"
    soundfile.write(file, speech(5.5, rate, channels), rate)
    sound, seconds = read_recording(file)
    assert seconds == pytest.approx(5.5, abs=0.1)
    assert len(sound) == pytest.approx(5.5 * 24_000, abs=2400)
    assert 0.05 < np.abs(sound).max() <= 1.1


def encode(file: Path, sound: Any, rate: int, codec: str) -> None:
    """Write float `[frames, channels]` with FFmpeg's encoder."""
    layout = "stereo" if sound.shape[1] == 2 else "mono"
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T, np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size)
        for block in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(block))


def as_upstream_loads(file: Path) -> Any:
    """What `librosa.load` makes of the 16-bit samples that FFmpeg's program gives it, at 24 kHz."""
    with av.open(str(file)) as container:
        to_16_bit = av.AudioResampler(format="s16p")
        blocks = [block for frame in container.decode(audio=0) for block in to_16_bit.resample(frame)]
    sound = librosa.util.buf_to_float(np.concatenate([block.to_ndarray() for block in blocks], axis=1).ravel())
    mono = librosa.to_mono(sound.reshape(len(blocks[0].layout.channels), -1))
    return librosa.resample(mono, orig_sr=blocks[0].sample_rate, target_sr=24_000)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("v.m4a", "aac", 44_100, 2),
        ("a:b.aac", "aac", 48_000, 1),
        ("v.mka", "ac3", 48_000, 2),
    ],
)
def test_what_libsndfile_does_not_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, codec: str, rate: int, channels: int
) -> None:
    """m4a is what a telephone records."""
    plain = tmp_path / f"v{Path(name).suffix}"
    encode(plain, speech(5.5, rate, channels), rate, codec)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(plain)
    file = plain.rename(tmp_path / name)
    sound, seconds = read_recording(file)
    assert seconds == pytest.approx(5.5, abs=0.1)
    expected = as_upstream_loads(file.rename(plain))
    assert len(sound) == len(expected)
    np.testing.assert_allclose(sound, expected, rtol=0, atol=2 / 2**15)
    assert capfd.readouterr() == ("", "")


def test_only_the_first_minutes_of_a_long_m4a_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "v.m4a", speech(9, 16_000), 16_000, "aac")
    monkeypatch.setattr(cloning, "LONGEST", 7)
    sound, seconds = read_recording(tmp_path / "v.m4a")
    assert seconds == pytest.approx(9, abs=0.1)
    assert len(sound) == 7 * 24_000


def test_an_m4a_that_was_cut_off_or_holds_no_sound(tmp_path: Path) -> None:
    file = tmp_path / "v.m4a"
    encode(file, speech(6, 16_000), 16_000, "aac")
    content = file.read_bytes()
    for cut in (3, 50, len(content) // 2):
        file.write_bytes(content[:cut])
        with pytest.raises(UsageError, match="cannot be read as sound"):
            read_recording(file)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:6,\nhttp://127.0.0.1:9/v.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UsageError, match="cannot be read as sound"):
        read_recording(tmp_path / "list.m3u8")


def test_a_normal_level_is_not_called_clipped(tmp_path: Path) -> None:
    sound = speech(6, 16_000)
    soundfile.write(tmp_path / "v.wav", sound / np.abs(sound).max(), 16_000)
    read_recording(tmp_path / "v.wav")


def test_only_the_first_minutes_of_a_long_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "v.wav", speech(9, 8000), 8000)
    monkeypatch.setattr(cloning, "LONGEST", 7)
    sound, seconds = read_recording(tmp_path / "v.wav")
    assert seconds == pytest.approx(9)
    assert len(sound) == 7 * 24_000


def test_loudness_is_brought_to_upstreams() -> None:
    sound = speech(6, 24_000)[:, 0].astype(np.float32)
    expected = ChatterboxTurboTTS.norm_loudness(None, sound, 24_000)
    np.testing.assert_array_equal(at_upstream_loudness(sound), expected)
    assert np.array_equal(at_upstream_loudness(np.zeros(30_000, np.float32)), np.zeros(30_000, np.float32))


RECORDINGS = [
    ("a.wav", 5.53, 24_000, 1),
    ("b.flac", 12.3, 44_100, 2),
    ("c.ogg", 14.99, 16_000, 1),
    ("d.wav", 21, 48_000, 1),
]


@pytest.fixture(scope="module")
def one_layer() -> Iterator[None]:
    """Upstream's speech tokenizer has one layer of its six."""
    from s3tokenizer.model_v2 import S3TokenizerV2

    (sizes,) = S3TokenizerV2.__init__.__defaults__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "n_audio_layer", 1)
        yield


@pytest.fixture(scope="module")
def upstream(tiny: Path, tmp_path_factory: pytest.TempPathFactory, one_layer: None) -> Any:
    """Upstream's Turbo without the parts that only speak, and a folder with its weights and tiny parts that speak."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.voice_encoder import VoiceEncoder
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        s3gen, encoder = S3Gen(meanflow=True).eval(), VoiceEncoder().eval()
        hp = SimpleNamespace(speech_cond_prompt_len=375)
        model = ChatterboxTurboTTS(SimpleNamespace(hp=hp), s3gen, encoder, None, "cpu")
    kept = {k: v for k, v in s3gen.state_dict().items() if k.startswith(("tokenizer.", "speaker_encoder."))}
    speaking = load_file(tiny / "s3gen_meanflow.safetensors")
    kept |= {k: v for k, v in speaking.items() if k.startswith(("flow.", "mel2wav."))}
    save_file(kept, folder / "s3gen_meanflow.safetensors")
    save_file(encoder.state_dict(), folder / "ve.safetensors")
    for name in ("t3_turbo_v1.safetensors", "config.json"):
        (folder / name).symlink_to(tiny / name)
    return SimpleNamespace(model=model, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording[0])
def test_the_conditionals_are_upstreams(upstream: Any, tmp_path: Path, recording: tuple[str, float, int, int]) -> None:
    name, seconds, rate, channels = recording
    file = tmp_path / name
    soundfile.write(file, speech(seconds, rate, channels), rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upstream.model.prepare_conditionals(file)
    theirs = upstream.model.conds
    ours = prepare(read_recording(file)[0], upstream.folder)
    speaker = theirs.t3.speaker_emb
    if name == "d.wav":  # the voice encoder stops with the voice tokens
        assert not torch.equal(ours.speaker, speaker)
        low = resample(at_upstream_loudness(read_recording(file)[0]), 24_000, 16_000)[: 15 * 16_000]
        speaker = torch.from_numpy(upstream.model.ve.embeds_from_wavs([low], sample_rate=16_000))
    assert_same(ours, speaker, theirs.t3.cond_prompt_speech_tokens, theirs.gen)


@pytest.mark.slow
def test_a_recording_becomes_a_cached_voice(upstream: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, store = tmp_path / "My voice.wav", VoiceStore(tmp_path / "voices")
    soundfile.write(file, speech(6, 24_000), 24_000)
    steps: list[str] = []
    info = cloning.cache_voice(file, "me", upstream.folder, store, progress=steps.append)
    assert store.info("me") == info
    assert info.source == "My voice.wav"
    assert info.duration == 6.0
    assert steps[0] == "reading the recording"
    assert "computing the voice" in steps
    assert capsys.readouterr() == ("", "")

    t3 = T3.load(upstream.folder)
    key = prefix_key(fingerprint(upstream.folder / "t3_turbo_v1.safetensors"), Conditionals.load(store.path("me")))
    cached = load_prefix(store.prefix_path("me"), key, t3)
    assert cached is not None
    decoder = S3GenDecoder.load(upstream.folder, precision="auto")
    decoder.past = None  # type: ignore[assignment,method-assign] # what is kept is found, not computed
    assert past_of(Conditionals.load(store.path("me")).gen, store.flow_path("me"), upstream.folder, decoder).tokens > 99
    with pytest.raises(UsageError, match="already"):
        cloning.cache_voice(file, "me", upstream.folder, store)
    with pytest.raises(MissingError, match=r"ve\.safetensors|s3gen"):
        cloning.cache_voice(file, "you", tmp_path, store)
    assert store.names() == ["me"]


def test_loading_a_cached_voice_is_quick(tmp_path: Path) -> None:
    """With the sizes of Turbo and of a 10 s reference: both files, as the engine loads them."""
    t3 = SimpleNamespace(speech_emb=SimpleNamespace(weight=torch.zeros(1)), cache_shape=lambda n: (24, 16, n, 64))
    full = voice(tokens=250, mels=500)
    full.save(tmp_path / "v.pt")
    keys = torch.zeros(24, 16, 376, 64)
    save_prefix(SimpleNamespace(keys=keys, values=keys + 1), "key", tmp_path / "v.t3.safetensors")  # type: ignore[arg-type]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        Conditionals.load(tmp_path / "v.pt")
        assert load_prefix(tmp_path / "v.t3.safetensors", "key", t3) is not None  # type: ignore[arg-type]
        times.append(time.perf_counter() - start)
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
