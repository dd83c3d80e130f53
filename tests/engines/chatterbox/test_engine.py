"""The engine as a whole."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from tests.engines.chatterbox.speaking import OPTIONS, TEXT, Scripted, sound, threads
from tests.given import Given
from tts_cli.audio import Samples
from tts_cli.engines import Mode
from tts_cli.engines.chatterbox import ENGINE
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.t3.sampling import DEAD_AIR_CAP, TRAILING_SILENCE, token_budget
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN, SPEECH_IDS
from tts_cli.engines.options import make
from tts_cli.engines.registry import load_engine
from tts_cli.errors import MissingError, ModelError, UsageError
from tts_cli.segment import Segment


def upstream_generate(folder: Path, engine: ChatterboxEngine, seed: int) -> Samples:
    """`generate` of upstream's own class, T3 and tokenizer; tokens become sound in our `whole`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from chatterbox.models.t3 import llama_configs, t3
        from chatterbox.models.t3.modules.t3_config import T3Config
        from chatterbox.tts_turbo import ChatterboxTurboTTS, Conditionals
        from safetensors.torch import load_file
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    sizes = engine._t3.config
    llama_configs.LLAMA_CONFIGS["tiny"] = {
        **llama_configs.GPT2_MEDIUM_CONFIG,
        "n_layer": sizes.n_layer,
        "n_embd": sizes.n_embd,
        "hidden_size": sizes.n_embd,
        "n_head": sizes.n_head,
    }
    hp = T3Config(text_tokens_dict_size=50276)
    hp.llama_config_name = "tiny"
    hp.speech_tokens_dict_size = SPEECH_IDS
    hp.input_pos_emb = None
    hp.speech_cond_prompt_len = 375
    hp.use_perceiver_resampler = hp.emotion_adv = False
    with torch.random.fork_rng(devices=[]):
        model = t3.T3(hp)
    model.load_state_dict(load_file(folder / "t3_turbo_v1.safetensors"))
    model.eval()
    limit = token_budget("Hi, there [laugh].") - 1
    draw = model.inference_turbo
    model.inference_turbo = lambda **options: draw(**options, max_gen_len=limit)
    decoder = SimpleNamespace(
        inference=lambda speech_tokens, ref_dict, n_cfm_timesteps: (
            torch.from_numpy(engine._decoder.whole(ref_dict, speech_tokens, seed))[None],
            None,
        )
    )
    upstream = ChatterboxTurboTTS.__new__(ChatterboxTurboTTS)
    upstream.sr, upstream.device = 24_000, "cpu"
    upstream.t3, upstream.s3gen, upstream.tokenizer = model, decoder, tokenizer
    upstream.watermarker = SimpleNamespace(apply_watermark=lambda wav, sample_rate: wav)
    upstream.conds = Conditionals.load(folder / "conds.pt")
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stderr(io.StringIO()):
        torch.manual_seed(seed)
        wave: Samples = upstream.generate(TEXT)[0].numpy()
    return wave


@pytest.mark.parametrize("seed", [0, 5])
def test_simple_mode_is_upstreams_generate(
    tiny: Path, upstream_code: ModuleType, engine: ChatterboxEngine, seed: int
) -> None:
    ours = sound(engine, replace(OPTIONS, mode="simple", seed=seed))
    expected = upstream_generate(tiny, engine, seed)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("strategy", ["independent", "overlap", "context"])
@pytest.mark.parametrize("parallel", [False, True])
def test_every_way_of_streaming_gives_the_whole_length(engine: ChatterboxEngine, strategy: str, parallel: bool) -> None:
    options = replace(OPTIONS, strategy=strategy, parallel=parallel)
    chunks = list(engine.stream(Given(TEXT), "default", options))
    assert len(chunks) > 2
    assert all(len(chunk.samples) and chunk.samples.dtype == np.float32 for chunk in chunks)
    whole = sound(engine, replace(options, mode="simple"))
    assert sum(len(chunk.samples) for chunk in chunks) == len(whole)
    assert len(whole) % SAMPLES_PER_TOKEN == 0


def test_two_threads_say_what_one_says(engine: ChatterboxEngine) -> None:
    one, two = (sound(engine, replace(OPTIONS, strategy="context", parallel=p)) for p in (False, True))
    np.testing.assert_array_equal(one, two)


def test_the_seed_fixes_the_sound_and_changes_it(engine: ChatterboxEngine) -> None:
    one, again, other = (sound(engine, replace(OPTIONS, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.allclose(one, other)


def test_a_repeated_sentence_is_not_the_same_take(engine: ChatterboxEngine) -> None:
    first, second, again = (
        np.concatenate([chunk.samples for chunk in engine.stream(Given(Segment.of(TEXT, number)), "default", OPTIONS)])
        for number in (0, 1, 1)
    )
    np.testing.assert_array_equal(second, again)
    assert first.shape != second.shape or not np.allclose(first, second)


def test_a_chunk_of_one_token(engine: ChatterboxEngine) -> None:
    stream = engine.stream(Given(TEXT), "default", replace(OPTIONS, chunk=1))
    assert [len(next(stream).samples) for _ in range(3)] == [SAMPLES_PER_TOKEN] * 3
    stream.close()


def test_closing_ends_the_thread(engine: ChatterboxEngine) -> None:
    stream = engine.stream(Given(TEXT), "default", replace(OPTIONS, chunk=2))
    next(stream)
    assert threads()
    stream.close()
    assert not threads()


@pytest.mark.parametrize("parallel", [False, True])
def test_an_error_while_drawing_reaches_the_listener_after_the_sound(
    engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch, parallel: bool
) -> None:
    error = ModelError("the weights are damaged")
    monkeypatch.setattr(engine._t3, "draws", lambda _request: Scripted(range(20), error))
    stream = engine.stream(Given(TEXT), "default", replace(OPTIONS, parallel=parallel))
    assert len(next(stream).samples) == 20 * SAMPLES_PER_TOKEN
    with pytest.raises(ModelError, match="damaged"):
        next(stream)
    assert not threads()


def test_an_error_while_decoding_ends_the_thread(engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ModelError("the weights are damaged")

    monkeypatch.setattr(engine._decoder, "stream", failing)
    with pytest.raises(ModelError, match="damaged"):
        sound(engine, OPTIONS)
    assert not threads()


def notices(engine: ChatterboxEngine, options: ChatterboxOptions) -> list[str]:
    """What the chunks say of their speech, in order."""
    return [chunk.notice for chunk in engine.stream(Given(TEXT), "default", options)]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_dead_air_is_stopped_and_told_once(
    engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch, parallel: bool, mode: Mode
) -> None:
    monkeypatch.setattr(engine._t3, "draws", lambda request: Scripted([3700] * 5 + [4218] * request.budget))
    options = replace(OPTIONS, parallel=parallel, mode=mode)
    assert len(sound(engine, options)) == (5 + DEAD_AIR_CAP + TRAILING_SILENCE) * SAMPLES_PER_TOKEN
    assert [notice for notice in notices(engine, options) if notice] == [
        "stopped after 2 s of silence; try another --seed"
    ]
    assert not any(notices(engine, replace(options, tokens=60))), "so many tokens were asked for"


def test_speech_that_ends_by_itself_has_no_notice(engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._t3, "draws", lambda request: Scripted([3700] * 30 + [4218] * 4))
    assert not any(notices(engine, OPTIONS))


def test_speech_that_outgrows_its_text_or_the_limit_is_told(
    engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine._t3, "draws", lambda request: Scripted([3700] * request.budget))
    for guard, seconds in ((True, token_budget("Hi, there [laugh].") // 25), (False, 40)):
        told = [notice for notice in notices(engine, replace(OPTIONS, chunk=1000, guard=guard)) if notice]
        assert told == [f"stopped after {seconds} s, the longest it may take; try another --seed"]


@pytest.mark.parametrize("text", ["", "  ", "...", "“—”", "🙂"])
def test_nothing_to_say(engine: ChatterboxEngine, text: str) -> None:
    assert list(engine.stream(Given(text), "default", OPTIONS)) == []


@pytest.mark.parametrize("wrong", [{"chunk": 0}, {"chunk": 1001}, {"temperature": -1}, {"top_p": 2}, {"seed": -1}])
def test_wrong_options(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        make(ChatterboxOptions, wrong)


def test_the_watermark_is_in_the_stream_unless_it_is_turned_off(settings: ChatterboxSettings) -> None:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import perth

        finder = perth.PerthImplicitWatermarker()
    options = replace(OPTIONS, chunk=10)
    for wanted in (False, True):
        stream = sound(ChatterboxEngine(replace(settings, watermark=wanted)), options)
        found = float(finder.get_watermark(stream, sample_rate=24_000, round=False).mean())
        assert found >= 0.9 if wanted else found < 0.5


def test_what_is_missing_is_said(tiny: Path, settings: ChatterboxSettings, tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        load_engine(ENGINE, replace(settings, model_dir=tmp_path))
    for file in tiny.iterdir():
        if file.name != "conds.pt":
            (tmp_path / file.name).symlink_to(file)
    silent = ChatterboxEngine(replace(settings, model_dir=tmp_path, voices_dir=tmp_path / "none"))
    with pytest.raises(MissingError, match="voice cache"):
        silent.voices()
    with pytest.raises(UsageError):
        next(iter(silent.stream(Given(TEXT), "default", OPTIONS)))


def test_nano_loads_the_same_way(tiny: Path, settings: ChatterboxSettings, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name.replace("turbo", "nano")).symlink_to(file)
    nano = ChatterboxEngine(replace(settings, model="nano", model_dir=tmp_path))
    np.testing.assert_array_equal(sound(nano, OPTIONS), sound(ChatterboxEngine(settings), OPTIONS))
    with pytest.raises(MissingError, match="--model nano"):
        ChatterboxEngine(replace(settings, model_dir=tmp_path))


def test_speaking_imports_nothing_of_upstream(tiny: Path, tmp_path: Path) -> None:
    code = """
import sys, tts_cli
from pathlib import Path
with tts_cli.load("chatterbox", voices_dir=Path(sys.argv[2]), model_dir=Path(sys.argv[1]), device="cpu") as tts:
    chunk = next(tts.stream("Hello.", chunk=5))
heavy = {"chatterbox", "transformers", "librosa", "numba", "perth", "torchaudio", "scipy"} & set(sys.modules)
print(len(chunk.samples) > 0, sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True []\n", "")
