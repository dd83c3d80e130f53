import contextlib
import ctypes
import gc
import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.t3.sampling import (
    MAX_TOKENS,
)
from tts_cli.engines.chatterbox.t3.token_step import FixedStep
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS, SPEECH_VOCABULARY, STOP, T3Config

LAYERS, WIDTH, HEADS = 3, 64, 4
TEXT = [15496, 11, 995, 13, 50270]
OPTIONS = [
    Sampling(),
    Sampling(temperature=0),
    Sampling(temperature=1, top_k=0, top_p=1, repetition_penalty=1),
    Sampling(temperature=1.7, top_k=50),
    Sampling(top_k=0, top_p=0.5, repetition_penalty=2.0),
    Sampling(top_k=100_000, top_p=0.999, repetition_penalty=0.7),
]


@pytest.fixture(scope="module")
def upstream(upstream_code: Any) -> Any:
    """Upstream's T3 with a tiny GPT-2 and random weights large enough for the context to matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from chatterbox.models.t3 import llama_configs
        from chatterbox.models.t3 import t3 as upstream_t3
        from chatterbox.models.t3.modules.t3_config import T3Config
    tiny = {"n_layer": LAYERS, "n_embd": WIDTH, "hidden_size": WIDTH, "n_head": HEADS}
    llama_configs.LLAMA_CONFIGS["tiny"] = {**llama_configs.GPT2_MEDIUM_CONFIG, **tiny}
    hp = T3Config(text_tokens_dict_size=50276)
    hp.llama_config_name = "tiny"
    hp.speech_tokens_dict_size = SPEECH_IDS
    hp.input_pos_emb = None
    hp.speech_cond_prompt_len = 375
    hp.use_perceiver_resampler = False
    hp.emotion_adv = False
    model = upstream_t3.T3(hp)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(0, 0.2, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def ours(upstream: Any) -> T3:
    model = T3(T3Config(n_layer=LAYERS, n_embd=WIDTH, n_head=HEADS))
    state = upstream.state_dict()
    state = {name: state[name] for name in model.state_dict()}
    model.load_state_dict(state)
    return model.eval()


@pytest.fixture(scope="module")
def voice() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(1, 256, generator=generator), torch.randint(0, SPEECH_VOCABULARY, (1, 375), generator=generator)


@pytest.fixture(scope="module")
def prefix(ours: T3, voice: tuple[torch.Tensor, torch.Tensor]) -> T3Prefix:
    return ours.prefix(*voice)


def upstream_tokens(model: Any, voice: Any, sampling: Sampling, seed: int, count: int) -> list[int]:
    from chatterbox.models.t3.modules.cond_enc import T3Cond

    greedy = sampling.temperature == 0
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stderr(io.StringIO()):
        torch.manual_seed(seed)
        tokens = model.inference_turbo(
            T3Cond(speaker_emb=voice[0], cond_prompt_speech_tokens=voice[1]),
            torch.tensor([TEXT]),
            temperature=1.0 if greedy else sampling.temperature,
            top_k=1 if greedy else sampling.top_k,
            top_p=sampling.top_p,
            repetition_penalty=sampling.repetition_penalty,
            max_gen_len=count - 1,
        )
    return [int(token) for token in tokens[0]]


@pytest.mark.parametrize("sampling", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", [0, 7])
def test_the_tokens_are_upstreams(upstream: Any, ours: T3, voice: Any, sampling: Sampling, seed: int) -> None:
    expected = upstream_tokens(upstream, voice, sampling, seed, 60)
    request = TokenRequest(ours.prefix(*voice), TEXT, sampling, seed)
    tokens = [token for token, _ in zip(ours.tokens(request), range(60), strict=False)]
    assert tokens == expected
    assert len(set(tokens)) > 2, "a stream that says nothing proves nothing"


@pytest.fixture
def stops_soon(ours: T3) -> Iterator[None]:
    with torch.no_grad():
        before = ours.speech_head.bias[STOP].item()
        ours.speech_head.bias[STOP] = 6.0
    yield
    with torch.no_grad():
        ours.speech_head.bias[STOP] = before


@pytest.mark.usefixtures("stops_soon")
@pytest.mark.parametrize("seed", range(5))
def test_the_stop_token_ends_as_upstream(upstream: Any, ours: T3, voice: Any, prefix: T3Prefix, seed: int) -> None:
    with torch.no_grad():
        upstream.speech_head.bias.copy_(ours.speech_head.bias)
    tokens = list(ours.tokens(TokenRequest(prefix, TEXT, seed=seed)))
    assert tokens == upstream_tokens(upstream, voice, Sampling(), seed, MAX_TOKENS)
    assert len(tokens) < MAX_TOKENS
    assert STOP not in tokens[1:]


def test_the_budget_ends_a_babbling_model(ours: T3, prefix: T3Prefix) -> None:
    free = ours.tokens(TokenRequest(prefix, TEXT))
    expected = [next(free) for _ in range(37)]
    assert list(ours.tokens(TokenRequest(prefix, TEXT, budget=37))) == expected


def test_no_stream_is_endless(ours: T3, prefix: T3Prefix) -> None:
    request = TokenRequest(prefix, TEXT, Sampling(temperature=10, top_p=1), budget=10**9)
    assert len(list(ours.tokens(request))) == MAX_TOKENS


def test_a_prefix_serves_every_text_and_stays_as_it_is(ours: T3, voice: Any, prefix: T3Prefix) -> None:
    before = prefix.keys.clone(), prefix.values.clone()
    first = list(ours.tokens(TokenRequest(prefix, TEXT, budget=20)))
    other = list(ours.tokens(TokenRequest(prefix, [1, 2, 3], budget=20)))
    fresh = ours.prefix(*voice)
    assert first != other
    assert list(ours.tokens(TokenRequest(fresh, TEXT, budget=20))) == first
    assert torch.equal(prefix.keys, before[0])
    assert torch.equal(prefix.values, before[1])
    assert prefix.positions == 376


def test_streams_do_not_disturb_each_other(ours: T3, prefix: T3Prefix) -> None:
    alone = [list(ours.tokens(TokenRequest(prefix, TEXT, seed=seed, budget=15))) for seed in (1, 2)]
    interleaved = zip(*(ours.tokens(TokenRequest(prefix, TEXT, seed=seed, budget=15)) for seed in (1, 2)), strict=True)
    assert [list(stream) for stream in zip(*interleaved, strict=True)] == alone


def test_the_global_generator_is_left_alone(ours: T3, prefix: T3Prefix) -> None:
    before = torch.get_rng_state()
    list(ours.tokens(TokenRequest(prefix, TEXT, budget=10)))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.is_inference_mode_enabled()


def test_a_step_of_fixed_shapes_computes_the_same(ours: T3, prefix: T3Prefix) -> None:
    tokens = [5, 4299, 6000, 17]
    expected = ours.logits(prefix, TEXT, tokens)
    with torch.inference_mode():
        cache, first = ours._read(prefix, ours.embedded(TEXT), 9)
        cache.keys[:, :, cache.filled :] = torch.nan  # nobody wrote there yet
    step = FixedStep(ours, cache)
    found = torch.stack([first, *(step(token) for token in tokens)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert cache.filled == prefix.positions + len(TEXT) + 1 + len(tokens)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_nothing_is_left_of_a_t3_that_is_no_longer_used(tiny: Path, precision: str) -> None:
    voice = Conditionals.load(tiny / "conds.pt")
    prefix = T3.load(tiny).prefix(voice.speaker, voice.voice_tokens)

    def load(times: int) -> float:
        for _ in range(times):
            list(T3.load(tiny, precision=precision).tokens(TokenRequest(prefix, TEXT, exactly=2)))
        return resident()

    before = load(5)
    assert load(40) - before < 5, "what torch keeps of a trace is 13 MB and more"


def resident() -> float:
    """Megabytes that this process has in memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def test_exactly_so_many_tokens_that_mean_sound(ours: T3, prefix: T3Prefix) -> None:
    wild = Sampling(temperature=10, top_p=1, top_k=0)
    drawn = list(ours.tokens(TokenRequest(prefix, TEXT, wild, exactly=300)))
    assert len(drawn) == 300
    assert max(drawn) < SPEECH_VOCABULARY
    assert list(ours.tokens(TokenRequest(prefix, TEXT, wild, exactly=20))) == drawn[:20]


def test_a_stop_token_does_not_end_exactly_so_many(ours: T3, prefix: T3Prefix, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        bias = ours.speech_head.bias.clone()
        bias[STOP] = 1000.0
    monkeypatch.setattr(ours.speech_head, "bias", torch.nn.Parameter(bias, requires_grad=False))
    assert len(list(ours.tokens(TokenRequest(prefix, TEXT)))) == 1
    assert len(list(ours.tokens(TokenRequest(prefix, TEXT, exactly=5)))) == 5
