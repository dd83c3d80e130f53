"""The streamed vocoder gives the whole utterance's samples, whatever the chunks."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.config import VocoderConfig
from tts_cli.engines.chatterbox.hift import HiFT, receptive_frames
from tts_cli.engines.chatterbox.noise import BLOCK, SeededNoise
from tts_cli.engines.chatterbox.vocoder import JOIN, ONSET, Vocoder

pytestmark = pytest.mark.usefixtures("_inference")


@pytest.fixture(scope="module")
def _inference() -> object:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def vocoder(decoder: S3GenDecoder) -> Vocoder:
    return decoder.vocoder


def some_mels(frames: int, seed: int = 0) -> Tensor:
    """Mel frames that wander as speech does: voiced and unvoiced, loud and soft."""
    generator = torch.Generator().manual_seed(seed)
    slow = torch.randn(80, frames // 4 + 2, generator=generator).repeat_interleave(4, dim=1)[:, :frames]
    return slow + 0.3 * torch.randn(80, frames, generator=generator)


def streamed(vocoder: Vocoder, mels: Tensor, sizes: list[int], ahead: int) -> Tensor:
    state, at, pieces = vocoder.start(SeededNoise(3)), 0, []
    for size in [*sizes, mels.shape[1]]:
        end = at + size
        pieces.append(vocoder.push(state, mels[:, at:end], mels[:, end : end + ahead]))
        at = end
    return torch.cat(pieces)


@given(sizes=st.lists(st.integers(0, 30), max_size=12))
@settings(max_examples=40, deadline=None)
def test_streamed_equals_whole_for_every_chunking(vocoder: Vocoder, sizes: list[int]) -> None:
    mels = some_mels(70)
    whole = vocoder.push(vocoder.start(SeededNoise(3)), mels)
    assert whole.shape == (70 * 480,)
    assert whole.std() > 0.01
    assert (streamed(vocoder, mels, sizes, vocoder.context) - whole).abs().max() < 1e-4


def test_one_frame_less_of_context_would_not_do(vocoder: Vocoder) -> None:
    """Guards the test above: it can tell a window that is too narrow."""
    mels = some_mels(70)
    whole = vocoder.push(vocoder.start(SeededNoise(3)), mels)
    assert (streamed(vocoder, mels, [20, 20, 20], 2) - whole).abs().max() > 1e-3


def test_a_long_utterance_stays_equal(vocoder: Vocoder) -> None:
    """25 s in one go and in steps: the harmonics' phase does not drift by more than F0's own rounding."""
    mels = some_mels(1250)
    whole = vocoder.push(vocoder.start(SeededNoise(3)), mels)
    difference = streamed(vocoder, mels, [50] * 24, vocoder.context) - whole
    assert difference[: 5 * 24_000].abs().max() < 1e-4
    assert difference.abs().max() < 5e-4


def test_the_state_does_not_grow(vocoder: Vocoder) -> None:
    state = vocoder.start(SeededNoise(0))
    for _ in range(20):
        vocoder.push(state, some_mels(10), some_mels(vocoder.context))
    assert state.history.shape == (80, vocoder.context)
    assert state.source.shape == (480 * vocoder.context,)
    assert len(state.foreseen) <= JOIN
    assert state.position == 200


def test_the_start_is_muted_and_faded_once(vocoder: Vocoder) -> None:
    bare = vocoder.push(vocoder.start(SeededNoise(3), onset=False), some_mels(40))
    faded = streamed(vocoder, some_mels(40), [1] * 40, vocoder.context)
    assert (faded[: ONSET // 2] == 0).all()
    rise = faded[ONSET // 2 : ONSET] / bare[ONSET // 2 : ONSET]
    assert 0.45 < rise[len(rise) // 2] < 0.55
    assert (faded[ONSET:] - bare[ONSET:]).abs().max() < 1e-4


@pytest.mark.parametrize(
    "config",
    [
        VocoderConfig(base_channels=8, f0_cond_channels=4),
        VocoderConfig(
            base_channels=8,
            resblock_kernel_sizes=(3,),
            resblock_dilation_sizes=((1,),),
            source_resblock_kernel_sizes=(3, 3, 3),
            source_resblock_dilation_sizes=((1,), (1,), (1,)),
        ),
    ],
)
def test_no_sample_depends_on_frames_beyond_the_receptive_field(config: VocoderConfig) -> None:
    network, frames, at = HiFT(config).eval(), 80, 40
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    mels, source = some_mels(frames)[None], 0.1 * torch.randn(1, frames * 480, generator=generator)
    reach = receptive_frames(config)
    for mels2, source2 in ((mels.clone(), source), (mels, source.clone())):
        if mels2 is not mels:
            mels2[..., at] += 5
        else:
            source2[:, at * 480 : (at + 1) * 480] += 1
        changed = (network.decode(mels2, source2) - network.decode(mels, source))[0].abs() > 1e-9
        touched = changed.nonzero().ravel() // 480
        assert len(touched)
        assert at - reach <= touched.min()
        assert touched.max() <= at + reach


@given(cut=st.integers(0, 3 * BLOCK), kind=st.sampled_from(["mels", "source"]))
@settings(max_examples=30, deadline=None)
def test_noise_is_the_same_wherever_a_window_begins(cut: int, kind: str) -> None:
    noise, end = SeededNoise(11), 3 * BLOCK + 5
    drawn = noise.mels if kind == "mels" else partial(noise.source, 9)
    whole = drawn(0, end)
    assert torch.equal(torch.cat((drawn(0, cut), drawn(cut, end)), dim=1), whole)
    assert whole.mean().abs() < 0.02
    assert (whole.std() - 1).abs() < 0.02


def test_noise_depends_on_seed_and_kind_and_touches_no_global_state() -> None:
    before = torch.random.get_rng_state()
    a, b = SeededNoise(1), SeededNoise(2)
    assert not torch.equal(a.mels(0, 10), b.mels(0, 10))
    assert not torch.equal(a.mels(0, 10), a.prompt(10))
    assert not torch.equal(a.source(9, 0, 10), a.source(9, BLOCK, BLOCK + 10))
    assert a.phases(9)[0] == 0
    assert torch.equal(torch.random.get_rng_state(), before)
