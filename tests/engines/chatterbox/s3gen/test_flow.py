"""Our S3Gen against upstream's: same weights, same tokens, the very noise that upstream drew."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tts_cli.audio import Samples
from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.noise import GivenNoise
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, STOP
from tts_cli.errors import ModelError, UsageError


def upstream_s3gen(folder: Path) -> Any:
    """Upstream's flow and vocoder at the sizes of `folder`, with its weights; the voice's side left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' deprecations, on import and on construction
        return _upstream_s3gen(folder)


def _upstream_s3gen(folder: Path) -> Any:
    from chatterbox.models.s3gen import decoder, f0_predictor, flow, flow_matching, hifigan, s3gen
    from chatterbox.models.s3gen.transformer import upsample_encoder
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text())
    up_blocks = config["encoder"].pop("num_up_blocks")
    f0_channels = config["vocoder"].pop("f0_cond_channels")
    width, size = config["encoder"]["input_size"], config["encoder"]["output_size"]
    encoder = upsample_encoder.UpsampleConformerEncoder(**config["encoder"])
    # Upstream's constructor fixes these at 512 channels and 4 blocks.
    encoder.pre_lookahead_layer = upsample_encoder.PreLookaheadLayer(channels=size, pre_lookahead_len=3)
    encoder.up_layer = upsample_encoder.Upsample1D(channels=size, out_channels=width, stride=2)
    encoder.up_encoders = encoder.up_encoders[:up_blocks]
    whole = s3gen.S3Token2Wav.__new__(s3gen.S3Token2Wav)
    torch.nn.Module.__init__(whole)
    whole.meanflow = True
    whole.tokenizer = torch.nn.Linear(1, 1)  # upstream asks it for the device
    whole.flow = flow.CausalMaskedDiffWithXvec(
        input_size=width,
        encoder=encoder,
        decoder=flow_matching.CausalConditionalCFM(
            spk_emb_dim=80, estimator=decoder.ConditionalDecoder(meanflow=True, **config["estimator"])
        ),
    )
    vocoder = {
        "sampling_rate": 24000,
        "upsample_rates": [8, 5, 3],
        "upsample_kernel_sizes": [16, 11, 7],
        "source_resblock_kernel_sizes": [7, 7, 11],
        "source_resblock_dilation_sizes": [[1, 3, 5]] * 3,
    } | config["vocoder"]
    whole.mel2wav = hifigan.HiFTGenerator(
        **vocoder, f0_predictor=f0_predictor.ConvRNNF0Predictor(cond_channels=f0_channels)
    )
    trim = torch.zeros(960)
    trim[480:] = (torch.cos(torch.linspace(torch.pi, 0, 480)) + 1) / 2
    whole.register_buffer("trim_fade", trim, persistent=False)
    missing, unexpected = whole.load_state_dict(load_file(folder / "s3gen_meanflow.safetensors"), strict=False)
    assert set(missing) <= {"tokenizer.weight", "tokenizer.bias"}
    assert unexpected == []
    return whole.eval()


def upstream_inference(
    model: Any, voice: dict[str, Any], tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch, steps: int = 2
) -> tuple[Samples, GivenNoise]:
    """What upstream makes of the tokens, and the noise it drew on the way."""
    drawn: dict[str, list[torch.Tensor]] = {"randn": [], "randn_like": [], "rand": []}

    def recorded(name: str) -> Any:
        draw = getattr(torch, name)

        def record(*args: Any, **kwargs: Any) -> torch.Tensor:
            values: torch.Tensor = draw(*args, **kwargs)
            drawn[name].append(values.clone())
            return values

        return record

    with monkeypatch.context() as patch:
        for name in drawn:
            patch.setattr(torch, name, recorded(name))
        with torch.random.fork_rng():
            torch.manual_seed(5)
            wave, _ = model.inference(tokens[None], ref_dict=copy.deepcopy(voice), n_cfm_timesteps=steps)
    mel_noise, (start, source, _unused), (phase,) = drawn["randn"][0], drawn["randn_like"], drawn["rand"]
    phase = (-np.pi + phase * (2 * np.pi)).reshape(-1)
    phase[0] = 0
    prompt = start.shape[2] - mel_noise.shape[2]
    return wave[0].numpy(), GivenNoise(start[0, :, :prompt], mel_noise[0], phase, source[0])


@pytest.fixture(scope="session")
def upstream(tiny: Path, upstream_code: Any) -> Any:
    return upstream_s3gen(tiny)


def some_tokens(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, SPEECH_VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 2, 25, 60])
def test_whole_equals_upstream(
    decoder: S3GenDecoder, upstream: Any, voice: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = some_tokens(count)
    expected, noise = upstream_inference(upstream, voice, tokens, monkeypatch)
    found = decoder.whole(voice, tokens, noise=noise)
    assert found.shape == (960 * count,)
    assert np.abs(expected).max() > 0.01
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("strategy", ["whole", "independent", "cached"])
def test_one_flow_step_is_upstreams(
    tiny: Path, upstream: Any, voice: dict[str, Any], strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, decoder = some_tokens(12), S3GenDecoder.load(tiny, flow_steps=1)
    expected, noise = upstream_inference(upstream, voice, tokens, monkeypatch, steps=1)
    if strategy == "whole":
        assert np.abs(decoder.whole(voice, tokens, noise=noise) - expected).max() < 1e-4
    else:
        stream = decoder.stream(voice, strategy, noise=noise)
        found = np.concatenate([stream.push(tokens), stream.push([], final=True)])
        assert found.shape == expected.shape
        if strategy == "independent":
            assert np.abs(found - expected).max() < 1e-4


def test_the_voice_is_left_as_it_is(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    before = copy.deepcopy(voice)
    decoder.whole(voice, some_tokens(3))
    assert voice.keys() == before.keys()
    for key, value in before.items():
        assert value is None or (torch.equal(value, voice[key]) and value.dtype == voice[key].dtype)


def test_a_voice_of_arrays_or_cast_to_floats_sounds_the_same(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    expected = decoder.whole(voice, some_tokens(3))
    arrays = {key: None if value is None else value.numpy() for key, value in voice.items()}
    assert np.array_equal(decoder.whole(arrays, some_tokens(3)), expected)
    floats = {key: None if value is None else value.float() for key, value in voice.items()}
    assert np.array_equal(decoder.whole(floats, some_tokens(3)), expected)


def test_a_reference_that_is_half_a_token_long_still_gives_960_samples_a_token(
    decoder: S3GenDecoder, voice: dict[str, Any]
) -> None:
    longer = voice | {"prompt_feat": torch.cat((voice["prompt_feat"], torch.zeros(1, 1, 80)), dim=1)}
    assert np.array_equal(decoder.whole(longer, some_tokens(3)), decoder.whole(voice, some_tokens(3)))


@pytest.mark.parametrize("part", ["prompt_token", "prompt_feat", "embedding"])
def test_a_voice_without_a_part_is_a_clear_error(decoder: S3GenDecoder, voice: dict[str, Any], part: str) -> None:
    without = {key: value for key, value in voice.items() if key != part}
    with pytest.raises(ModelError, match=part):
        decoder.whole(without, [1])


def test_a_voice_of_another_model_is_a_clear_error(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="does not fit"):
        decoder.whole(voice | {"embedding": torch.zeros(1, 256)}, [1])


@pytest.mark.parametrize("tokens", [[SPEECH_VOCABULARY], [-1], [5, 9999], np.array([STOP]), torch.tensor([[1, 7000]])])
def test_a_token_out_of_range_is_a_clear_error(decoder: S3GenDecoder, voice: dict[str, Any], tokens: Any) -> None:
    with pytest.raises(UsageError, match="no speech token"):
        decoder.whole(voice, tokens)
    with pytest.raises(UsageError, match="no speech token"):
        decoder.stream(voice).push(tokens)


@pytest.mark.parametrize("tokens", [[0.5], [[1, 2], [3, 4]], ["a"]])
def test_what_is_no_row_of_tokens_is_a_clear_error(decoder: S3GenDecoder, voice: dict[str, Any], tokens: Any) -> None:
    with pytest.raises(UsageError, match="speech tokens"):
        decoder.whole(voice, tokens)


def test_no_tokens_are_no_sound(decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    assert decoder.whole(voice, []).shape == (0,)
