"""Draws the next speech token from logits, and decides when an utterance must stop though the model goes on.

The steps, their order and their defaults are those of `T3.inference_turbo` in chatterbox-tts 0.1.7: temperature, top-k,
top-p, repetition penalty, draw. The same logits and the same generator state give the same token.
"""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F

from tts_cli.audio import TOKEN_RATE
from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS, SPEECH_VOCABULARY, START, STOP
from tts_cli.errors import ModelError
from tts_cli.text.pace import seconds

SILENCE: Final = 4299
"""A speech token of silence. Upstream adds three to the end of every utterance."""
TRAILING_SILENCE: Final = 3

MAX_TOKENS: Final = 1001
"""The most tokens that an utterance can have (40 s): the first, and upstream's limit of 1000 more."""
TOKENS_AT_LEAST: Final = 75
"""The tokens (3 s) that any text may take, however short."""
PATIENCE: Final = 1.8
"""How many times its estimated length a text may take in addition. Slow speech takes 1.5 times the estimate."""
DEAD_AIR: Final = frozenset({4137, 4215, 4218, 4299, 6162, 6324, 6405, 6486})
"""The speech tokens that sound as silence or room noise.

They are the quietest in renderings of the whole codebook of the S3 tokenizer v2, and those that published token dumps
of Turbo show in its pauses. In one dump, a runaway repeats 4218 240 times. Short runs are ordinary: a greedy
"Hello world." begins with 3700, 4218, 4218 and ends with four of 4218.
"""
DEAD_AIR_CAP: Final = 50
"""Tokens of dead air in a row (2 s) after which the utterance is stopped. Pauses between sentences last about 1 s."""


class Sampler:
    """Draws the tokens of one utterance, and remembers which were drawn.

    Parameters
    ----------
    sampling
        Temperature, top-k, top-p and repetition penalty.
    generator
        The utterance's own random numbers.
    vocab
        How many ids there are.
    """

    def __init__(self, sampling: Sampling, generator: torch.Generator, vocab: int) -> None:
        self._sampling = sampling
        self._generator = generator
        self._seen = torch.zeros(vocab, dtype=torch.bool, device=generator.device)
        self._seen[START] = True  # upstream penalises the start token in the first draw only
        self._first = True

    def draw(self, logits: torch.Tensor) -> int:
        """Draw the next token from float32 logits `[vocab]`.

        On a GPU this synchronises once, when the token is copied to the CPU.

        Raises
        ------
        ModelError
            If a logit is NaN or infinite.
        """
        if self._sampling.temperature == 0 or self._sampling.top_k == 1:  # the penalty is applied after top-k
            drawn = logits.argmax()
        else:
            drawn = self._sample(logits)
        token, finite = torch.stack([drawn, logits.sum().isfinite()]).tolist()
        if not finite:
            raise ModelError("T3 computes NaN or infinity", "its weights may be damaged: pull them again")
        if self._first:
            self._seen[START] = self._first = False
        self._seen[token] = True
        return int(token)

    def _sample(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw a token, as a scalar tensor. Only the tokens that top-k keeps take part in the later steps.

        Where several tokens are exactly as likely as the least likely one kept, upstream keeps all of them.
        """
        options = self._sampling
        # As torch's `multinomial` draws one token: the largest quotient of probability and exponential noise.
        noise = torch.empty_like(logits).exponential_(1, generator=self._generator)
        logits, tokens = torch.topk(logits, min(options.top_k or len(logits), len(logits)))
        if options.temperature != 1:
            logits = logits / options.temperature
        if options.top_p < 1:
            rest = logits.softmax(dim=-1).flip(0).cumsum(dim=-1).flip(0)  # each with all less likely ones
            unlikely = rest <= 1 - options.top_p
            unlikely[0] = False
            logits = logits.masked_fill(unlikely, -torch.inf)
        if options.repetition_penalty != 1:
            penalty = options.repetition_penalty
            penalised = torch.where(logits < 0, logits * penalty, logits / penalty)
            logits = torch.where(self._seen[tokens], penalised, logits)
        return tokens[(logits.softmax(dim=-1) / noise[tokens]).argmax()]


class Draws:
    """The draws of one utterance: its tokens one after another, until it stops.

    Parameters
    ----------
    sampling, seed
        How tokens are drawn.
    limit
        The most tokens.
    endless
        Whether start and stop token cannot be drawn.

    Attributes
    ----------
    ended : bool
        Whether there is no further token.
    """

    def __init__(self, sampling: Sampling, seed: int, limit: int, *, endless: bool) -> None:
        self.limit = limit
        self.ended = limit < 1
        self._endless = endless
        self._count = 0
        # Tokens are drawn on the CPU, wherever logits are computed. So a seed gives the same on every device, and a GPU
        # synchronises once per token.
        self._sampler = Sampler(sampling, torch.Generator().manual_seed(seed), SPEECH_IDS)

    def draw(self, logits: torch.Tensor) -> int | None:
        """Draw the next token from float32 logits `[ids]` on the CPU; None where the model stops.

        Upstream ignores the stop token in the first place, so there it is given.
        """
        token = self._sampler.draw(_without_marks(logits) if self._endless else logits)
        if token == STOP and self._count:
            self.ended = True
            return None
        self._count += 1
        self.ended = self._count == self.limit
        return token


def _without_marks(logits: torch.Tensor) -> torch.Tensor:
    """`logits` `[ids]` in which start and stop are too unlikely to be drawn."""
    return F.pad(logits[:SPEECH_VOCABULARY], (0, len(logits) - SPEECH_VOCABULARY), value=-1e9)


class Guard:
    """Watches the tokens of one utterance and decides when to stop it though the model goes on.

    Parameters
    ----------
    budget
        The most tokens that speaking the text can take; None to allow `MAX_TOKENS`, and silence of any length.

    Attributes
    ----------
    most : int
        The most tokens that the utterance can have.
    verdict : str
        Why the utterance was stopped, in words; empty if it was not.
    """

    def __init__(self, budget: int | None) -> None:
        self.most = MAX_TOKENS if budget is None else min(budget, MAX_TOKENS)
        self._patience = None if budget is None else DEAD_AIR_CAP
        self._drawn = self._silent = 0
        self.verdict = ""

    def stops(self, token: int) -> bool:
        """Take the next token of the utterance, and return whether it must be the last."""
        self._drawn += 1
        self._silent = self._silent + 1 if token in DEAD_AIR else 0
        if self._silent == self._patience:
            self.verdict = f"stopped after {self._silent / TOKEN_RATE:.0f} s of silence; try another --seed"
        elif self._drawn == self.most:
            longest = f"{self._drawn / TOKEN_RATE:.0f} s"
            self.verdict = f"stopped after {longest}, the longest it may take; try another --seed"
        return bool(self.verdict)


def token_budget(text: str) -> int:
    """The most tokens that speaking `text` can reasonably take."""
    return min(TOKENS_AT_LEAST + math.ceil(PATIENCE * TOKEN_RATE * seconds(text)), MAX_TOKENS)
