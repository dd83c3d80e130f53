"""The strategies: how chunks of an utterance are decoded and joined.

With each strategy, n tokens give 960 n samples in the end. The strategies differ in what a chunk knows of its
neighbours. A new strategy is a class here and a name in `options.STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import torch
from torch import Tensor

from tts_cli.audio import raised_cosine
from tts_cli.engines.chatterbox.options import STRATEGIES
from tts_cli.engines.chatterbox.s3gen.cached import WINDOW, CachedFlow, FlowState, VoicePast
from tts_cli.engines.chatterbox.s3gen.encoder import LOOKAHEAD
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt
from tts_cli.engines.chatterbox.s3gen.noise import Noise
from tts_cli.engines.chatterbox.s3gen.vocoder import Vocoder, VocoderState
from tts_cli.engines.chatterbox.weights.config import FRAMES_PER_TOKEN, SAMPLES_PER_TOKEN

FIRST_HOLD: Final = 4
"""How many mel frames `cached` holds back after its first chunk."""
SETTLED: Final = 28
"""How many mel frames `cached` has decoded when it begins to hold back the full delay of the vocoder. If it holds back
fewer, some samples must be foreseen, which takes time. If it holds back more, the first sound comes later. With a first
chunk of 7 tokens and 10 in each later one, the first two chunks have foreseen samples."""

PendingSound: TypeAlias = Callable[[], Tensor]
"""Samples whose mel frames are computed. A call computes the samples, float32 `[m]`. All must be called once and in
order. Meanwhile, the flow may decode later tokens in another thread."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """The models, the voice and the noise of one utterance, for a strategy. It does not change."""

    flow: Flow
    vocoder: Vocoder
    prompt: Prompt
    noise: Noise
    cached: CachedFlow
    past: Callable[[], VoicePast]
    """Returns the past of the voice for `cached`, and computes it if necessary."""

    def mels(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Compute the mel frames of tokens directly after the voice.

        Parameters
        ----------
        tokens
            Int64 `[n]`.
        start
            The number of tokens of the utterance before them, for their noise.

        Returns
        -------
        Tensor
            `[80, 2n]`.
        """
        first = FRAMES_PER_TOKEN * start
        drawn = self.noise.mels(first, first + FRAMES_PER_TOKEN * len(tokens))
        return self.flow(self.prompt, tokens, torch.cat((self.noise.prompt(self.prompt.frames), drawn), dim=1))

    def alone(self, tokens: Tensor, start: int = 0, *, onset: bool = True) -> PendingSound:
        """The sound of tokens decoded alone, with only the voice before them and nothing after them.

        Parameters
        ----------
        tokens
            Int64 `[n]`.
        start
            As in `mels`.
        onset
            Whether the start is muted and faded in.

        Returns
        -------
        PendingSound
            `[960 n]` samples.
        """
        if not len(tokens):
            return _silence
        state = self.vocoder.start(self.noise, FRAMES_PER_TOKEN * start, onset=onset)
        mels = self.mels(tokens, start)
        return lambda: self.vocoder.push(state, mels, final=True)


class Strategy(Protocol):
    """Decodes one utterance."""

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """Run the flow for what the next tokens make possible. The vocoder runs when the result is called.

        Parameters
        ----------
        tokens
            The next tokens, int64 `[n]`; n may be 0.
        final
            Whether the utterance ends with them. Then nothing is held back.
        """
        ...


@dataclass(slots=True)
class Independent:
    """Decodes each chunk alone, as upstream's `inference` decodes an utterance. It is the baseline for the others.

    Each chunk is muted and faded in for 40 ms, as the start of an utterance is. Nothing is held back.
    """

    utterance: Utterance
    position: int = 0
    """How many tokens have been decoded."""

    def push(self, tokens: Tensor, final: bool) -> PendingSound:  # noqa: ARG002 - there is nothing to hold back
        """See `Strategy`."""
        sound = self.utterance.alone(tokens, self.position)
        self.position += len(tokens)
        return sound


@dataclass(slots=True)
class Overlap:
    """Decodes each chunk alone, begun some tokens early, and crossfades it with the chunk before it.

    The crossfade is a raised cosine over the whole overlap. As many tokens as overlap are held back.
    """

    utterance: Utterance
    overlap: int = 2
    """How many tokens two neighbouring chunks share; 2 are 80 ms."""
    position: int = 0
    """How many tokens of the utterance come before the next chunk."""
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """The tokens with which the next chunk begins."""
    shared: Tensor = field(default_factory=lambda: torch.empty(0))
    """The samples of these tokens, as the last chunk has decoded them."""

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """See `Strategy`."""
        fresh, tokens = len(tokens), torch.cat((self.held, tokens))
        keep = 0 if final else min(self.overlap, len(tokens))
        if len(tokens) <= keep:
            self.held = tokens
            return _silence
        if not fresh and self.position:
            return lambda: self.shared
        sound = self.utterance.alone(tokens, self.position, onset=self.position == 0)
        done = len(tokens) - keep
        self.position += done
        self.held = tokens[done:]
        return lambda: self._joined(sound(), done * SAMPLES_PER_TOKEN)

    def _joined(self, sound: Tensor, end: int) -> Tensor:
        """Crossfade `sound` with the shared samples, and return the samples up to `end`. The rest is shared next."""
        length = len(self.shared)
        fade = torch.from_numpy(raised_cosine(length)).to(sound.device)
        mixed = torch.cat((self.shared.to(sound.device) * (1 - fade) + sound[:length] * fade, sound[length:]))
        self.shared = mixed[end:]
        return mixed[:end]


@dataclass(slots=True)
class Context:
    """Decodes each chunk after the voice and a window of earlier tokens, and before some tokens of lookahead.

    Tokens in the window are decoded again with each chunk, from the same noise, so neighbouring chunks are similar. Of
    each mel frame, the sound is computed as it was first decoded. The mel frames of the lookahead help to foresee
    sound. The tokens of the lookahead are held back.
    """

    utterance: Utterance
    window: int | None = 25
    """How many earlier tokens a chunk sees; None for all of them, which costs more with every chunk."""
    lookahead: int = LOOKAHEAD
    """How many tokens after a chunk are decoded with it. The encoder sees three."""
    first: int = 0
    """How many tokens of the utterance come before the window."""
    past: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """The tokens in the window."""
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """Tokens that are held back."""
    state: VocoderState = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.utterance.vocoder.start(self.utterance.noise)

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """See `Strategy`."""
        self.held = torch.cat((self.held, tokens))
        done = len(self.held) if final else max(0, len(self.held) - self.lookahead)
        if done == 0:
            return _silence
        mels = self.utterance.mels(torch.cat((self.past, self.held)), self.first)
        begin, end = FRAMES_PER_TOKEN * len(self.past), FRAMES_PER_TOKEN * (len(self.past) + done)
        past = torch.cat((self.past, self.held[:done]))
        dropped = 0 if self.window is None else max(0, len(past) - self.window)
        self.first, self.past, self.held = self.first + dropped, past[dropped:], self.held[done:]
        spoken, ahead = mels[:, begin:end], mels[:, end:]
        return lambda: self.utterance.vocoder.push(self.state, spoken, final=final, ahead=ahead)


@dataclass(slots=True)
class Cached:
    """Decodes each chunk after the cached past of the voice and of earlier tokens. Nothing is decoded twice.

    Three tokens are held back as the encoder's lookahead, and some mel frames for the vocoder: few at first, so that
    the first sound comes early, and later as many as make all samples exact.
    """

    utterance: Utterance
    window: int = WINDOW
    """How many tokens a block sees besides the voice, counted back from its own end."""
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """Tokens that are held back."""
    flow: FlowState = field(init=False)
    sound: VocoderState = field(init=False)

    def __post_init__(self) -> None:
        self.flow = self.utterance.cached.start(self.utterance.past(), self.window)
        self.sound = self.utterance.vocoder.start(self.utterance.noise)

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """See `Strategy`. More tokens than the flow can decode at once are decoded in several blocks."""
        self.held = torch.cat((self.held, tokens))
        pieces: list[PendingSound] = [_silence]
        while len(self.held) > (0 if final else LOOKAHEAD):
            count = min(len(self.held) - (0 if final else LOOKAHEAD), self.flow.block)
            pieces.append(self._block(count, final and count == len(self.held)))
        return lambda: torch.cat([piece() for piece in pieces])

    def _block(self, count: int, last: bool) -> PendingSound:
        """The sound that the next `count` tokens make possible; `last` if the utterance ends with them."""
        ahead = min(LOOKAHEAD, len(self.held) - count)
        begin, end = FRAMES_PER_TOKEN * self.flow.position, FRAMES_PER_TOKEN * (self.flow.position + count)
        noise = self.utterance.noise.mels(begin, end)
        mels = self.utterance.cached.push(self.flow, self.held[: count + ahead], ahead, noise)
        self.held = self.held[count:]
        delay = self.utterance.vocoder.delay
        hold = min(delay, FIRST_HOLD + max(0, delay - FIRST_HOLD) * begin // SETTLED)
        return lambda: self.utterance.vocoder.push(self.sound, mels, final=last, hold=hold).cpu()


def _silence() -> Tensor:
    return torch.empty(0)


STRATEGY_CLASSES: Final[Mapping[str, Callable[[Utterance], Strategy]]] = dict(
    zip(STRATEGIES, (Context, Cached, Overlap, Independent), strict=True)
)
"""In the order of `options.STRATEGIES`."""
