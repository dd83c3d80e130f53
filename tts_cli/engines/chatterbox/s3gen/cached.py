"""The flow, block by block: what layers computed for the voice and for earlier frames is kept, not computed again.

Every block of tokens sees the voice, what was spoken before it as far as a window reaches, and all of itself; what
was spoken stays as it was. That is the block-causal attention that CosyVoice 2 streams with (arXiv:2412.10117,
section 2.4), where `whole` lets every frame see all the others. Kept are the keys and values of each attention and
the last inputs of each convolution, in the encoder and in each step of the flow. The voice's part depends on the
voice alone: a `VoicePast`, computed once.

Positions of the encoder count as if voice and window stood side by side, so that a chunk's cost and the distances
the network meets stay the same however long the utterance lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from tts_cli.audio import FRAMES_PER_TOKEN
from tts_cli.engines.chatterbox.s3gen.encoder import NoTokens, RelativeAttention, sinusoids
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt
from tts_cli.engines.chatterbox.weights.config import MEL_BINS
from tts_cli.errors import UsageError

WINDOW: Final = 75
"""Tokens, counted back from a block's end, that it can see besides the voice."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a pass over the voice leaves of one network, layer by layer in the order of their turns. Read-only."""

    tails: tuple[Tensor, ...]
    """The last inputs of each convolution, `[1, channels, reach]`."""
    keys: tuple[Tensor, ...]
    """Of each attention, `[1, heads, positions, d]`."""
    values: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class VoicePast:
    """A voice as later frames see it. Read-only, valid for every utterance in that voice."""

    encoder: Trace
    steps: tuple[Trace, ...]
    """One for each step of the flow."""
    speaker: Tensor
    """As in `Prompt`."""
    tokens: int
    """How many speech tokens the voice takes."""


@dataclass(slots=True)
class FlowState:
    """One utterance's flow: what its frames left behind so far."""

    speaker: Tensor
    encoder: EncoderMemory
    steps: tuple[StepMemory, ...]
    block: int
    """The most tokens that can be decoded at once."""
    position: int = 0
    """Tokens decoded so far."""


class CachedFlow:
    """A flow made ready to decode block by block. Read-only, but for what it learns to look up."""

    def __init__(self, flow: Flow, dtype: torch.dtype = torch.float32) -> None:
        """`dtype` is the type in which the estimator's keys and values are stored and used."""
        self.flow = flow
        self.dtype = dtype
        self._steps = flow.decoder.steps(flow.device)
        self._toward: tuple[int, list[Tensor]] = 0, []

    def voice(self, prompt: Prompt, noise: Tensor) -> VoicePast:
        """What `prompt`, begun from noise `[80, its frames]`, leaves to those who come behind it."""
        encoder, steps = Recorder(torch.float32), [Recorder(self.dtype) for _ in self._steps]
        self.flow.mels(prompt.tokens, noise, prompt.speaker, prompt.mels, self._steps, encoder, steps)
        return VoicePast(encoder.trace(), tuple(step.trace() for step in steps), prompt.speaker, len(prompt.tokens))

    def start(self, voice: VoicePast, window: int = WINDOW) -> FlowState:
        """An utterance in `voice`, with nothing spoken; `window` is in tokens. Raises `UsageError` for fewer than 3."""
        if window < 3:
            raise UsageError(f"a window of {window} tokens is too small to decode in", "choose 3 or more")
        heights = self.flow.encoder.heights()
        spans = [window * height for height in heights]
        toward = self._distances(voice.tokens + window, heights)
        return FlowState(
            voice.speaker,
            EncoderMemory(voice.encoder, spans, toward),
            tuple(StepMemory.over(trace, window * FRAMES_PER_TOKEN) for trace in voice.steps),
            block=window // 3,
        )

    def push(self, state: FlowState, tokens: Tensor, ahead: int, noise: Tensor) -> Tensor:
        """Mel frames `[80, 2n]` of the next tokens int64 `[n + ahead]`, n at most `state.block`, from noise `[80, 2n]`.

        The `ahead` last tokens, as many as the encoder looks ahead or as there are, come again with the next push.
        """
        count = len(tokens) - ahead
        cond = torch.zeros(MEL_BINS, FRAMES_PER_TOKEN * count, device=self.flow.device)
        state.encoder.begin()
        for step in state.steps:
            step.begin()
        mels = self.flow.mels(
            tokens.to(self.flow.device), noise, state.speaker, cond, self._steps, state.encoder, state.steps, ahead
        )
        for step in state.steps:
            step.seen += FRAMES_PER_TOKEN * count
        state.position += count
        return mels

    def _distances(self, reach: int, heights: Sequence[int]) -> list[Tensor]:
        """For each attention of the encoder, what scores by distance are made with, down from `reach` tokens."""
        longest, known = self._toward
        if longest < reach:
            attentions = self.flow.encoder.attentions()
            known = [
                attention.toward(sinusoids(reach * height - 1, 1 - reach * height, attention.size, self.flow.device))
                for attention, height in zip(attentions, heights, strict=True)
            ]
            self._toward = reach, known
        return known


class Recorder(NoTokens):
    """No past, but a good memory: writes down what a pass over the voice leaves behind."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        self._tails: list[Tensor] = []
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        extended = super().with_tail(x, reach)
        self._tails.append(extended[..., -reach:].clone())
        return extended

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Past`."""
        self.recall(key, value)
        return super().attend(query, key, value)

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See `EncoderPast`."""
        self._keys.append(key.to(self._dtype).contiguous())
        self._values.append(value.to(self._dtype).contiguous())
        return key, value

    def trace(self) -> Trace:
        """All that was written down."""
        return Trace(tuple(self._tails), tuple(self._keys), tuple(self._values))


@dataclass(slots=True)
class ConvolutionTails:
    """The last inputs of a network's convolutions, each replaced when its turn comes."""

    inputs: list[Tensor]
    turn: int = 0

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        extended = torch.cat((self.inputs[self.turn], x), dim=-1)
        self.inputs[self.turn] = extended[..., -reach:].clone()
        self.turn += 1
        return extended


class EncoderMemory:
    """The encoder's past in one utterance: few keys, laid out in order, since distances matter to it."""

    def __init__(self, voice: Trace, spans: Sequence[int], toward: Sequence[Tensor]) -> None:
        self._voice = voice
        self._spans = spans
        self._toward = toward
        self._tails = ConvolutionTails(list(voice.tails))
        self._keys = [key[:, :, :0] for key in voice.keys]
        self._values = [value[:, :, :0] for value in voice.values]
        self._turn = 0

    def begin(self) -> None:
        """A new block comes: the first layer is next."""
        self._turn = self._tails.turn = 0

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        return self._tails.with_tail(x, reach)

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See `EncoderPast`: the voice, then the window, which ends with `key` and `value`."""
        turn = self._turn
        self._turn += 1
        before = self._spans[turn] - key.shape[2]
        seen_keys, seen_values = self._keys[turn], self._values[turn]
        first = max(0, seen_keys.shape[2] - before)
        self._keys[turn] = torch.cat((seen_keys[:, :, first:], key), dim=2)
        self._values[turn] = torch.cat((seen_values[:, :, first:], value), dim=2)
        return (
            torch.cat((self._voice.keys[turn], self._keys[turn]), dim=2),
            torch.cat((self._voice.values[turn], self._values[turn]), dim=2),
        )

    def toward(self, attention: RelativeAttention, n: int, seen: int) -> Tensor:  # noqa: ARG002 - looked up
        """See `EncoderPast`: for the attention whose keys were recalled last."""
        table = self._toward[self._turn - 1]
        middle = (table.shape[2] + 1) // 2
        return table[:, :, middle - seen : middle + n - 1]


@dataclass(slots=True)
class StepMemory:
    """A flow step's past in one utterance. Its attention knows no positions, so frames lie in a ring as they come."""

    voice: Trace
    tails: ConvolutionTails
    keys: Tensor
    """`[layers, heads, span, d]`, of which `seen` at most are filled."""
    values: Tensor
    seen: int = 0
    """Frames decoded so far."""
    turn: int = field(default=0, init=False)

    @classmethod
    def over(cls, voice: Trace, span: int) -> StepMemory:
        """A memory of `voice` and of the last `span` frames, of which there are none yet."""
        heads, _, size = voice.keys[0].shape[1:]
        shape = len(voice.keys), heads, span, size
        return cls(
            voice, ConvolutionTails(list(voice.tails)), voice.keys[0].new_empty(shape), voice.keys[0].new_empty(shape)
        )

    def begin(self) -> None:
        """A new block comes: the first layer is next."""
        self.turn = self.tails.turn = 0

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        return self.tails.with_tail(x, reach)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Past`: over the voice and the last `span` frames, the new ones among them."""
        turn = self.turn
        self.turn += 1
        own_keys, own_values = self.keys[turn], self.values[turn]
        filled = _write(own_keys, key[0], self.seen)
        _write(own_values, value[0], self.seen)
        keys, values = self.voice.keys[turn][0], self.voice.values[turn][0]
        asked, known = query[0].to(keys.dtype), keys.shape[1]
        scale, nothing = query.shape[-1] ** -0.5, keys.new_zeros(1)
        scores = [torch.baddbmm(nothing, asked, each.mT, beta=0, alpha=scale) for each in (keys, own_keys[:, :filled])]
        weights = torch.cat(scores, dim=-1).softmax(dim=-1)
        return torch.baddbmm(weights[..., :known] @ values, weights[..., known:], own_values[:, :filled]).to(
            query.dtype
        )[None]


def _write(ring: Tensor, new: Tensor, seen: int) -> int:
    """Put `new` `[heads, n, d]` behind the `seen` positions that went through `ring`; how many it holds then."""
    span, count = ring.shape[1], new.shape[1]
    start = seen % span
    until_end = min(count, span - start)
    ring[:, start : start + until_end] = new[:, :until_end]
    if until_end < count:
        ring[:, : count - until_end] = new[:, until_end:]
    return min(seen + count, span)
