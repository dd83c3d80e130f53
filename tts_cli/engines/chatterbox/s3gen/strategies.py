"""The ways to make sound of speech tokens that arrive in pieces.

All of them turn n tokens into 960 n samples in the end; they differ in what a chunk knows of its neighbours.
A new way is one dataclass here and one name in `options.STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import torch
from torch import Tensor

from tts_cli.audio import FRAMES_PER_TOKEN, SAMPLES_PER_TOKEN, raised_cosine
from tts_cli.engines.chatterbox.options import STRATEGIES
from tts_cli.engines.chatterbox.s3gen.cached import WINDOW, CachedFlow, FlowState, VoicePast
from tts_cli.engines.chatterbox.s3gen.encoder import LOOKAHEAD
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt
from tts_cli.engines.chatterbox.s3gen.noise import Noise
from tts_cli.engines.chatterbox.s3gen.vocoder import Vocoder, VocoderState

FIRST_HOLD: Final = 4
"""Mel frames that `cached` holds back of its first chunk."""
SETTLED: Final = 28
"""Frames decoded after which it holds back the vocoder's whole context. What is not held has to be foreseen, at the
cost of as many frames again; what is held is missing in the listener's buffer, which is empty at first. With a first
chunk of 7 tokens and then 10 at a time, it is for two chunks that something has to be."""

PendingSound: TypeAlias = Callable[[], Tensor]
"""Samples float32 `[m]` that wait for the vocoder: to be called once, in the order in which they were begun. The flow
of what comes behind may be computed meanwhile."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """The models, the voice and the noise of one utterance: all that a strategy reads."""

    flow: Flow
    vocoder: Vocoder
    prompt: Prompt
    noise: Noise
    cached: CachedFlow
    past: Callable[[], VoicePast]
    """What `cached` keeps of the voice; computed when asked for, if it is not known yet."""

    def mels(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Mel frames `[80, 2n]` of tokens `[n]` that stand right behind the voice.

        `start` is how many tokens of the utterance come before them; it picks their noise.
        """
        first = FRAMES_PER_TOKEN * start
        drawn = self.noise.mels(first, first + FRAMES_PER_TOKEN * len(tokens))
        return self.flow(self.prompt, tokens, torch.cat((self.noise.prompt(self.prompt.frames), drawn), dim=1))

    def alone(self, tokens: Tensor, start: int = 0, *, onset: bool = True) -> PendingSound:
        """The sound `[960 n]` of tokens `[n]` decoded with nothing before or behind them but the voice."""
        if not len(tokens):
            return _silence
        state = self.vocoder.start(self.noise, FRAMES_PER_TOKEN * start, onset=onset)
        mels = self.mels(tokens, start)
        return lambda: self.vocoder.push(state, mels, final=True)


class Strategy(Protocol):
    """One utterance being decoded in one way."""

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """The samples that `tokens` `[n]` make possible; after `final` nothing is held back.

        The flow's part is done at once, the vocoder's when the sound is called.
        """
        ...


@dataclass(slots=True)
class Independent:
    """Every chunk alone, as upstream's `inference` would decode it: the baseline to beat.

    PendingSound comes with every push. Each chunk begins with the muted and faded 40 ms of an utterance's start.
    """

    utterance: Utterance
    position: int = 0

    def push(self, tokens: Tensor, final: bool) -> PendingSound:  # noqa: ARG002 - there is nothing to hold back
        """See `Strategy`."""
        sound = self.utterance.alone(tokens, self.position)
        self.position += len(tokens)
        return sound


@dataclass(slots=True)
class Overlap:
    """Every chunk alone, but begun `overlap` tokens early and crossfaded into the one before it.

    Holds back `overlap` tokens. The crossfade is a raised cosine over all of the overlap.
    """

    utterance: Utterance
    overlap: int = 2
    """Tokens (40 ms each) that two neighbouring chunks share: 80 ms."""
    position: int = 0
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    tail: Tensor = field(default_factory=lambda: torch.empty(0))

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """See `Strategy`."""
        fresh, tokens = len(tokens), torch.cat((self.held, tokens))
        keep = 0 if final else min(self.overlap, len(tokens))
        if len(tokens) <= keep:
            self.held = tokens
            return _silence
        if not fresh and self.position:
            return lambda: self.tail
        sound = self.utterance.alone(tokens, self.position, onset=self.position == 0)
        done = len(tokens) - keep
        self.position += done
        self.held = tokens[done:]
        return lambda: self._joined(sound(), done * SAMPLES_PER_TOKEN)

    def _joined(self, sound: Tensor, end: int) -> Tensor:
        """`sound` up to `end`, faded in over what the chunk before it made of the first tokens; the rest is kept."""
        shared = len(self.tail)
        fade = torch.from_numpy(raised_cosine(shared)).to(sound.device)
        mixed = torch.cat((self.tail.to(sound.device) * (1 - fade) + sound[:shared] * fade, sound[shared:]))
        self.tail = mixed[end:]
        return mixed[:end]


@dataclass(slots=True)
class Context:
    """Every chunk behind the voice and the last `window` tokens, before `lookahead` tokens not spoken yet.

    A mel frame is spoken as it was first decoded; the frames of the lookahead are the vocoder's context.
    Tokens are decoded anew for as long as they are in the window, from the same noise each time, so
    neighbouring chunks agree. Holds back `lookahead` tokens; three are what the encoder sees ahead.
    """

    utterance: Utterance
    window: int | None = 25
    """Tokens spoken before that a chunk still sees; None for all of them, at a growing cost."""
    lookahead: int = LOOKAHEAD
    first: int = 0
    """The number in the utterance of the window's first token."""
    past: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """The window: tokens already spoken."""
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """Tokens not spoken yet."""
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
    """Every chunk behind the voice and earlier frames as they were left in memory: nothing is decoded twice.

    Holds back three tokens, which are what the encoder sees ahead, and some mel frames, which are the vocoder's
    context: few at first, so that the first sound comes soon, then as many as make its joins exact.
    """

    utterance: Utterance
    window: int = WINDOW
    """Tokens, counted back from the end of a block, that it sees besides the voice."""
    held: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """Tokens not spoken yet."""
    flow: FlowState = field(init=False)
    sound: VocoderState = field(init=False)

    def __post_init__(self) -> None:
        self.flow = self.utterance.cached.start(self.utterance.past(), self.window)
        self.sound = self.utterance.vocoder.start(self.utterance.noise)

    def push(self, tokens: Tensor, final: bool) -> PendingSound:
        """See `Strategy`. More tokens than the flow takes at once are decoded in several blocks."""
        self.held = torch.cat((self.held, tokens))
        pieces: list[PendingSound] = [_silence]
        while len(self.held) > (0 if final else LOOKAHEAD):
            count = min(len(self.held) - (0 if final else LOOKAHEAD), self.flow.block)
            pieces.append(self._block(count, final and count == len(self.held)))
        return lambda: torch.cat([piece() for piece in pieces])

    def _block(self, count: int, last: bool) -> PendingSound:
        """The sound that the next `count` tokens make possible."""
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


WAYS: Final[Mapping[str, Callable[[Utterance], Strategy]]] = dict(
    zip(STRATEGIES, (Independent, Overlap, Context, Cached), strict=True)
)
"""By the names a user gives."""
