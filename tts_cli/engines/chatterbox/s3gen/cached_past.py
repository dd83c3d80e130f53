"""What layers of the flow store of the voice and of earlier blocks, so that later blocks need not compute it again.

An attention stores keys and values, and a convolution the tail of its inputs. A pass over the voice records them once
(`PastRecorder`). In an utterance, each network begins with the voice's part and adds its own (`CachedEncoderPast`,
`CachedPast`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.s3gen.relative_attention import NoEncoderPast, RelativeAttention


@dataclass(frozen=True, slots=True)
class NetworkPast:
    """What the layers of one network store of a voice, in the order in which they are computed. It does not change."""

    tails: tuple[Tensor, ...]
    """For each convolution its last inputs, `[1, channels, reach]`."""
    keys: tuple[Tensor, ...]
    """For each attention, `[1, heads, positions, d]`."""
    values: tuple[Tensor, ...]
    """For each attention, `[1, heads, positions, d]`."""


class PastRecorder(NoEncoderPast):
    """The past at the start, which also records what later blocks need.

    Parameters
    ----------
    dtype
        The type in which keys and values are recorded.
    """

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

    def recorded(self) -> NetworkPast:
        """What the pass has recorded."""
        return NetworkPast(tuple(self._tails), tuple(self._keys), tuple(self._values))


@dataclass(slots=True)
class ConvolutionTails:
    """The tails of a network's convolutions in one utterance."""

    inputs: list[Tensor]
    """For each convolution, `[1, channels, reach]`."""
    turn: int = 0
    """The number of the convolution that is computed next."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        extended = torch.cat((self.inputs[self.turn], x), dim=-1)
        self.inputs[self.turn] = extended[..., -reach:].clone()
        self.turn += 1
        return extended


class CachedEncoderPast:
    """The past of the encoder in one utterance.

    Its keys stay in the order of their positions, because attention needs distances. They are few, so they are copied
    for each block.

    Parameters
    ----------
    voice
        What the encoder stores of the voice.
    spans
        For each attention, how many positions of the utterance a block sees, its own included.
    distance_keys
        For each attention, its distance keys from a farthest distance m down to −m, `[1, heads, 2m + 1, d]`. m is at
        least the number of visible positions, those of the voice included, less one.
    """

    def __init__(self, voice: NetworkPast, spans: Sequence[int], distance_keys: Sequence[Tensor]) -> None:
        self._voice = voice
        self._spans = spans
        self._distance_keys = distance_keys
        self._tails = ConvolutionTails(list(voice.tails))
        self._keys = [key[:, :, :0] for key in voice.keys]
        self._values = [value[:, :, :0] for value in voice.values]
        self._turn = 0

    def begin(self) -> None:
        """Begin a new block."""
        self._turn = self._tails.turn = 0

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        return self._tails.with_tail(x, reach)

    def recall(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See `EncoderPast`: the voice, then the window, which ends with the new positions."""
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

    def distance_keys(self, attention: RelativeAttention, n: int, seen: int) -> Tensor:  # noqa: ARG002 - looked up
        """See `EncoderPast`. The attention is the one that has called `recall` last."""
        table = self._distance_keys[self._turn - 1]
        middle = (table.shape[2] + 1) // 2
        return table[:, :, middle - seen : middle + n - 1]


@dataclass(slots=True)
class CachedPast:
    """The past of the estimator in one flow step of one utterance.

    Attention has no positions there, so the order of keys does not matter. They are written into a ring, in which new
    frames replace the oldest.
    """

    voice: NetworkPast
    tails: ConvolutionTails
    keys: Tensor
    """`[layers, heads, span, d]`; at most `seen` frames are filled."""
    values: Tensor
    """As `keys`."""
    seen: int = 0
    """How many frames of the utterance have been decoded."""
    turn: int = field(default=0, init=False)
    """The number of the attention that is computed next."""

    @classmethod
    def over(cls, voice: NetworkPast, span: int) -> CachedPast:
        """The past at the start of an utterance.

        Parameters
        ----------
        voice
            What the estimator stores of the voice in this step.
        span
            How many frames of the utterance a block sees, its own included.
        """
        heads, _, size = voice.keys[0].shape[1:]
        shape = len(voice.keys), heads, span, size
        return cls(
            voice, ConvolutionTails(list(voice.tails)), voice.keys[0].new_empty(shape), voice.keys[0].new_empty(shape)
        )

    def begin(self) -> None:
        """Begin a new block."""
        self.turn = self.tails.turn = 0

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        return self.tails.with_tail(x, reach)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Compute attention over the voice and the last `span` frames, the new ones included.

        The parameters and the result are those of `Past.attend`.
        """
        turn = self.turn
        self.turn += 1
        own_keys, own_values = self.keys[turn], self.values[turn]
        filled = _write(own_keys, key[0], self.seen)
        _write(own_values, value[0], self.seen)
        keys, values = self.voice.keys[turn][0], self.voice.values[turn][0]
        asked, known = query[0].to(keys.dtype), keys.shape[1]
        scale, nothing = query.shape[-1] ** -0.5, keys.new_zeros(1)
        # Two products with one softmax over both, so that the voice's keys need not be copied to join them to the ring.
        scores = [torch.baddbmm(nothing, asked, each.mT, beta=0, alpha=scale) for each in (keys, own_keys[:, :filled])]
        weights = torch.cat(scores, dim=-1).softmax(dim=-1)
        return torch.baddbmm(weights[..., :known] @ values, weights[..., known:], own_values[:, :filled]).to(
            query.dtype
        )[None]


def _write(ring: Tensor, new: Tensor, seen: int) -> int:
    """Write `new` `[heads, n, d]` into `ring` after the `seen` positions before. Return how many positions it holds."""
    span, count = ring.shape[1], new.shape[1]
    start = seen % span
    until_end = min(count, span - start)
    ring[:, start : start + until_end] = new[:, :until_end]
    if until_end < count:
        ring[:, : count - until_end] = new[:, until_end:]
    return min(seen + count, span)
