import io
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import torch

from tests.engines.chatterbox.voice.given import assert_same, speech
from tests.harness import PATIENCE
from tests.server.serving import say, serving
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.voice import cloning
from tts_cli.engines.chatterbox.voice.cloning import at_upstream_loudness, prepare
from tts_cli.engines.chatterbox.voice.conditionals import (
    Conditionals,
    fingerprint,
    load_prefix,
    prefix_key,
)
from tts_cli.engines.chatterbox.voice.past import past_of
from tts_cli.engines.chatterbox.voice.recording import read_recording, resample
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.errors import MissingError, UsageError


def test_loudness_is_brought_to_upstreams(upstream_code: Any) -> None:
    sound = speech(6, 24_000)[:, 0].astype(np.float32)
    expected = upstream_code.ChatterboxTurboTTS.norm_loudness(None, sound, 24_000)
    np.testing.assert_array_equal(at_upstream_loudness(sound), expected)
    assert np.array_equal(at_upstream_loudness(np.zeros(30_000, np.float32)), np.zeros(30_000, np.float32))


RECORDINGS = [
    ("a.wav", 5.53, 24_000, 1),
    ("b.flac", 12.3, 44_100, 2),
    ("c.ogg", 14.99, 16_000, 1),
    ("d.wav", 21, 48_000, 1),
]


@pytest.fixture(scope="module")
def upstream(tiny: Path, tmp_path_factory: pytest.TempPathFactory, upstream_model: Any) -> Any:
    """Upstream's Turbo, and a folder with its weights for making voices and tiny parts that speak."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("model")
    weights = upstream_model.s3gen.state_dict()
    kept = {k: v for k, v in weights.items() if k.startswith(("tokenizer.", "speaker_encoder."))}
    speaking = load_file(tiny / "s3gen_meanflow.safetensors")
    kept |= {k: v for k, v in speaking.items() if k.startswith(("flow.", "mel2wav."))}
    save_file(kept, folder / "s3gen_meanflow.safetensors")
    save_file(upstream_model.ve.state_dict(), folder / "ve.safetensors")
    for file in tiny.iterdir():
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    return SimpleNamespace(model=upstream_model, folder=folder)


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


@pytest.mark.slow
def test_a_recording_that_a_client_sends_becomes_a_voice_that_speaks(upstream: Any, tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, speech(6, 24_000), 24_000, format="FLAC")
    options = ["--model-dir", str(upstream.folder), "--voices-dir", str(tmp_path), "--no-watermark", "--no-guard"]
    with serving("--allow-voices", *options, engine="chatterbox") as server:
        making = httpx.post(
            f"{server.url}/v1/audio/voices",
            data={"name": "me", "consent": "cons_1"},
            files={"audio_sample": ("/home/me/My voice.flac", file.getvalue())},
            timeout=PATIENCE,
        )
        assert (making.status_code, making.json()) == (200, {"id": "me", "object": "audio.voice", "name": "me"})
        with server.connect() as client:
            heard = say(client, text="Hi.", voice="me", seed=7)
            assert heard.last["state"] == "done", heard.last
            default = say(client, text="Hi.", voice="default", seed=7)
    assert not np.array_equal(heard.sound, default.sound)
    info = VoiceStore(tmp_path).info("me")
    assert (info.source, info.duration) == ("/home/me/My voice.flac", 6.0)
