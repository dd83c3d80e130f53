"""The streamed vocoder gives the whole utterance's samples, whatever the chunks."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tts_cli.audio import raised_cosine
from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.s3gen.hift import HiFT, receptive_frames
from tts_cli.engines.chatterbox.s3gen.noise import DRAWN, SeededNoise
from tts_cli.engines.chatterbox.s3gen.vocoder import JOIN, ONSET, Vocoder, VocoderState
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_FRAME, VocoderConfig

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


def start(vocoder: Vocoder) -> VocoderState:
    return vocoder.start(SeededNoise(3))


def whole(vocoder: Vocoder, mels: Tensor) -> Tensor:
    return vocoder.push(start(vocoder), mels, final=True)


def streamed(vocoder: Vocoder, mels: Tensor, sizes: list[int], hold: int, ahead: int = 0) -> list[Tensor]:
    """Pieces of the sizes that are asked for, as far as there are so many frames, and the rest."""
    state, at, pieces = start(vocoder), 0, []
    for size in sizes:
        end = min(at + size, mels.shape[1])
        pieces.append(vocoder.push(state, mels[:, at:end], final=False, hold=hold, ahead=mels[:, end : end + ahead]))
        at = end
    return [*pieces, vocoder.push(state, mels[:, at:], final=True, hold=hold)]


def kept(state: VocoderState) -> int:
    return sum(tail.numel() for tail in (*state.tails.values(), state.ready, state.foreseen, state.onset))


@given(sizes=st.lists(st.integers(0, 30), max_size=12), more=st.integers(0, 15))
@settings(max_examples=40)
def test_streamed_equals_whole_for_every_chunking(vocoder: Vocoder, sizes: list[int], more: int) -> None:
    mels = some_mels(70)
    expected = whole(vocoder, mels)
    assert expected.shape == (70 * SAMPLES_PER_FRAME,)
    assert expected.std() > 0.01
    sound = torch.cat(streamed(vocoder, mels, sizes, vocoder.delay + more))
    assert (sound - expected).abs().max() < 1e-5


def test_frame_by_frame(vocoder: Vocoder) -> None:
    mels = some_mels(40)
    pieces = streamed(vocoder, mels, [1] * 40, vocoder.delay)
    assert [len(piece) / SAMPLES_PER_FRAME for piece in pieces] == [0] * vocoder.delay + [1] * (40 - vocoder.delay) + [
        vocoder.delay
    ]
    assert (torch.cat(pieces) - whole(vocoder, mels)).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[1, 2, 0, 25], [20, 20]])
def test_streamed_equals_whole_at_full_size(full_decoder: S3GenDecoder, sizes: list[int]) -> None:
    vocoder, mels = full_decoder.vocoder, some_mels(50)
    expected = whole(vocoder, mels)
    assert (torch.cat(streamed(vocoder, mels, sizes, vocoder.delay)) - expected).abs().max() < 1e-5


@given(
    pushes=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 9)), max_size=8),
    rest=st.integers(0, 5),
)
@settings(max_examples=40)
def test_samples_reach_up_to_the_frames_held(vocoder: Vocoder, pushes: list[tuple[int, int, int]], rest: int) -> None:
    """Whatever is held and foreseen, and however that changes: none comes twice, and after a join all are exact
    whose context was known.
    """
    mels = some_mels(sum(size for size, _, _ in pushes) + rest)
    expected = whole(vocoder, mels)
    state, frames, spoken = start(vocoder), 0, 0

    def check(piece: Tensor, reached: int, known: int) -> None:
        assert len(piece) == reached - spoken
        exact = min(reached, known * SAMPLES_PER_FRAME) - spoken
        difference = (piece - expected[spoken:reached])[JOIN : max(JOIN, exact)]
        assert not len(difference) or difference.abs().max() < 1e-5

    for size, hold, ahead in pushes:
        new = mels[:, frames : frames + size]
        piece = vocoder.push(state, new, final=False, hold=hold, ahead=some_mels(ahead, 1))
        frames += size
        reached = max(spoken, (frames - hold) * SAMPLES_PER_FRAME)
        assert piece.isfinite().all()
        check(piece, reached, frames - vocoder.delay)
        spoken = reached
    piece = vocoder.push(state, mels[:, frames:], final=True, hold=5)
    check(piece, (frames + rest) * SAMPLES_PER_FRAME, frames + rest)


def test_what_can_be_exact_is_and_the_rest_is_foreseen(vocoder: Vocoder) -> None:
    mels, exact = some_mels(60), 30 - vocoder.delay
    expected = whole(vocoder, mels)[: 30 * SAMPLES_PER_FRAME]
    first = vocoder.push(start(vocoder), mels[:, :30], final=False)
    difference = (first - expected).abs().reshape(30, -1).amax(1)
    assert difference[:exact].max() < 1e-5
    assert difference[exact:].max() > 1e-3
    first = vocoder.push(start(vocoder), mels[:, :30], final=False, ahead=mels[:, 30 : 30 + vocoder.delay])
    assert (first - expected).abs().max() < 1e-5


def test_one_frame_less_would_be_foreseen(vocoder: Vocoder) -> None:
    """The delay is no larger than it must be."""
    state = start(vocoder)
    vocoder.push(state, some_mels(30), final=False, hold=vocoder.delay)
    assert state.early == 0
    state = start(vocoder)
    vocoder.push(state, some_mels(30), final=False, hold=vocoder.delay - 1)
    assert state.early > 0


def test_the_next_push_takes_over_within_a_frame(vocoder: Vocoder) -> None:
    mels, hold = some_mels(60), 2
    expected = whole(vocoder, mels)
    first, second, *_ = streamed(vocoder, mels, [30, 30], hold)
    longer, *_ = streamed(vocoder, mels, [30], hold - 1)
    assert torch.equal(longer[: len(first)], first)
    fade = torch.from_numpy(raised_cosine(JOIN))
    truth = expected[len(first) :][: len(second)]
    blend = longer[len(first) :] * (1 - fade) + truth[:JOIN] * fade
    assert (longer[len(first) :] - truth[:JOIN]).abs().max() > 1e-3
    assert (second[:JOIN] - blend).abs().max() < 1e-5
    exact = (60 - hold - vocoder.delay - 28) * SAMPLES_PER_FRAME
    assert (second[JOIN:exact] - truth[JOIN:exact]).abs().max() < 1e-5


def test_what_was_foreseen_leaves_no_trace_after_the_join(vocoder: Vocoder) -> None:
    mels = some_mels(70)
    *_, last = streamed(vocoder, mels, [9, 1, 20, 10], 1)
    expected = whole(vocoder, mels)[-len(last) :]
    assert len(last) == 31 * SAMPLES_PER_FRAME
    assert (last - expected)[JOIN:].abs().max() < 1e-5


def test_a_long_utterance_stays_equal(vocoder: Vocoder) -> None:
    """25 s in one go and in steps: the harmonics' phase does not drift."""
    mels = some_mels(1250)
    difference = torch.cat(streamed(vocoder, mels, [50] * 24, vocoder.delay)) - whole(vocoder, mels)
    assert difference.abs().max() < 1e-4


@pytest.mark.parametrize("hold", [0, 7, 20])
def test_the_state_does_not_grow(vocoder: Vocoder, hold: int) -> None:
    state, sizes = start(vocoder), []
    for _ in range(20):
        vocoder.push(state, some_mels(10), final=False, hold=hold)
        sizes.append(kept(state))
    assert set(sizes[4:]) == {sizes[-1]}
    assert sizes[-1] < 100 * SAMPLES_PER_FRAME
    for tail in (*state.tails.values(), state.ready, state.foreseen):
        assert tail.untyped_storage().nbytes() == tail.nbytes, "a view keeps more than it shows"


def test_the_start_is_muted_and_faded_once(vocoder: Vocoder) -> None:
    bare = vocoder.push(vocoder.start(SeededNoise(3), onset=False), some_mels(40), final=True)
    faded = torch.cat(streamed(vocoder, some_mels(40), [1] * 40, vocoder.delay))
    assert (faded[: ONSET // 2] == 0).all()
    rise = faded[ONSET // 2 : ONSET] / bare[ONSET // 2 : ONSET]
    assert 0.45 < rise[len(rise) // 2] < 0.55
    assert (faded[ONSET:] - bare[ONSET:]).abs().max() < 1e-5


class Plain(nn.Module):
    """A convolution of which nothing is known but what it computes."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.compute = partial(conv._conv_forward, weight=conv.weight, bias=conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        computed: Tensor = self.compute(x)
        return computed


def test_convolutions_can_be_replaced(vocoder: Vocoder) -> None:
    """By modules that take a window and give the positions whose context is in it."""
    other = copy.deepcopy(vocoder)
    for name, child in list(other.network.named_modules()):
        if isinstance(child, nn.Conv1d):
            other.network.set_submodule(name, Plain(child))
    mels = some_mels(30)
    torch.testing.assert_close(whole(other, mels), whole(vocoder, mels), rtol=0, atol=1e-6)


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
        changed = (network(mels2, source2, {}, True) - network(mels, source, {}, True))[0].abs() > 1e-9
        touched = changed.nonzero().ravel() // 480
        assert len(touched)
        assert at - reach <= touched.min()
        assert touched.max() <= at + reach
    known = network(mels, source[:, : (frames - 5) * 480], {}, False)
    assert known.shape[1] >= (frames - reach) * 480


@given(cut=st.integers(0, 3 * DRAWN), kind=st.sampled_from(["mels", "source"]))
@settings(max_examples=30)
def test_noise_is_the_same_wherever_a_window_begins(cut: int, kind: str) -> None:
    noise, end = SeededNoise(11), 3 * DRAWN + 5
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
    assert not torch.equal(a.source(9, 0, 10), a.source(9, DRAWN, DRAWN + 10))
    assert a.phases(9)[0] == 0
    assert torch.equal(torch.random.get_rng_state(), before)
