"""The ways to make sound of speech tokens that arrive in pieces.

All of them turn n tokens into 960 n samples in the end; they differ in what a chunk knows of its neighbours.
A new way is one dataclass and one line in `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor

from tts_cli.audio import FRAMES_PER_TOKEN, SAMPLES_PER_TOKEN, raised_cosine
from tts_cli.engines.chatterbox.cached import WINDOW, CachedFlow, FlowState, VoicePast
from tts_cli.engines.chatterbox.encoder import LOOKAHEAD
from tts_cli.engines.chatterbox.flow import Flow, Prompt
from tts_cli.engines.chatterbox.noise import Noise
from tts_cli.engines.chatterbox.vocoder import Vocoder, VocoderState

FIRST_HOLD: Final = 4
"""Mel frames that `cached` holds back of its first chunk."""
HOLD_MORE: Final = 0.3
"""How many more of each frame that comes, until what is held is the vocoder's whole context: what is not held has to
be foreseen, at the cost of as many frames again; what is held is missing in the listener's buffer."""


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
        return self.flow(  # type: ignore[no-any-return]
            self.prompt, tokens, torch.cat((self.noise.prompt(self.prompt.frames), drawn), dim=1)
        )

    def alone(self, tokens: Tensor, start: int = 0, *, onset: bool = True) -> Tensor:
        """The sound `[960 n]` of tokens `[n]` decoded with nothing before or behind them but the voice."""
        if not len(tokens):
            return torch.empty(0)
        state = self.vocoder.start(self.noise, FRAMES_PER_TOKEN * start, onset=onset)
        return self.vocoder.push(state, self.mels(tokens, start), final=True)


class Strategy(Protocol):
    """One utterance being decoded in one way."""

    def push(self, tokens: Tensor, final: bool) -> Tensor:
        """The samples that `tokens` `[n]` make possible; after `final` nothing is held back."""
        ...


@dataclass(slots=True)
class Independent:
    """Every chunk alone, as upstream's `inference` would decode it: the baseline to beat.

    Sound comes with every push. Each chunk begins with the muted and faded 40 ms of an utterance's start.
    """

    utterance: Utterance
    position: int = 0

    def push(self, tokens: Tensor, final: bool) -> Tensor:  # noqa: ARG002 - there is nothing to hold back
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

    def push(self, tokens: Tensor, final: bool) -> Tensor:
        """See `Strategy`."""
        tokens = torch.cat((self.held, tokens))
        keep = 0 if final else min(self.overlap, len(tokens))
        if len(tokens) <= keep:
            self.held = tokens
            return torch.empty(0)
        if len(tokens) == len(self.held) and len(self.tail):
            return self.tail
        sound = self._chunk(tokens)
        done = len(tokens) - keep
        self.position += done
        self.held = tokens[done:]
        self.tail = sound[done * SAMPLES_PER_TOKEN :]
        return sound[: done * SAMPLES_PER_TOKEN]

    def _chunk(self, tokens: Tensor) -> Tensor:
        """The sound of `tokens`, faded in over what the chunk before it made of the first of them."""
        sound = self.utterance.alone(tokens, self.position, onset=self.position == 0)
        shared = len(self.tail)
        fade = torch.from_numpy(raised_cosine(shared)).to(sound)
        mixed = self.tail * (1 - fade) + sound[:shared] * fade
        return torch.cat((mixed, sound[shared:]))


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

    def push(self, tokens: Tensor, final: bool) -> Tensor:
        """See `Strategy`."""
        self.held = torch.cat((self.held, tokens))
        done = len(self.held) if final else max(0, len(self.held) - self.lookahead)
        if done == 0:
            return torch.empty(0)
        mels = self.utterance.mels(torch.cat((self.past, self.held)), self.first)
        begin, end = FRAMES_PER_TOKEN * len(self.past), FRAMES_PER_TOKEN * (len(self.past) + done)
        sound = self.utterance.vocoder.push(self.state, mels[:, begin:end], final=final, ahead=mels[:, end:])
        past = torch.cat((self.past, self.held[:done]))
        dropped = 0 if self.window is None else max(0, len(past) - self.window)
        self.first, self.past, self.held = self.first + dropped, past[dropped:], self.held[done:]
        return sound


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

    def push(self, tokens: Tensor, final: bool) -> Tensor:
        """See `Strategy`. More tokens than the flow takes at once are decoded in several blocks."""
        self.held = torch.cat((self.held, tokens))
        pieces = [torch.empty(0)]
        while len(self.held) > (0 if final else LOOKAHEAD):
            count = min(len(self.held) - (0 if final else LOOKAHEAD), self.flow.block)
            pieces.append(self._block(count, final and count == len(self.held)))
        return torch.cat(pieces)

    def _block(self, count: int, last: bool) -> Tensor:
        """The sound that the next `count` tokens make possible."""
        ahead = min(LOOKAHEAD, len(self.held) - count)
        begin, end = FRAMES_PER_TOKEN * self.flow.position, FRAMES_PER_TOKEN * (self.flow.position + count)
        noise = self.utterance.noise.mels(begin, end)
        mels = self.utterance.cached.push(self.flow, self.held[: count + ahead], ahead, noise)
        self.held = self.held[count:]
        hold = min(FIRST_HOLD + int(HOLD_MORE * begin), self.utterance.vocoder.delay)
        return self.utterance.vocoder.push(self.sound, mels, final=last, hold=hold).cpu()


STRATEGIES: Final[Mapping[str, Callable[[Utterance], Strategy]]] = {
    "independent": Independent,
    "overlap": Overlap,
    "context": Context,
    "cached": Cached,
}
"""By the names a user gives."""
