"""From logits to the next speech token, and when to stop listening to the model.

The order of the steps and their defaults are those of `T3.inference_turbo` in chatterbox-tts 0.1.7 (there
made of the warpers of transformers): temperature, top-k, top-p, repetition penalty, draw. The same logits
and the same generator state give the same token.
"""

from __future__ import annotations

import math
from typing import Final

import torch

from tts_cli.audio import TOKEN_RATE
from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.weights.config import START
from tts_cli.errors import ModelError
from tts_cli.text.pace import seconds

SILENCE: Final = 4299
"""A speech token of silence; upstream ends every utterance with three."""
TRAILING_SILENCE: Final = 3

MAX_TOKENS: Final = 1001
"""Tokens an utterance can have at all: the first, and upstream's 1000 more (40 s)."""
TOKENS_AT_LEAST: Final = 75
"""Tokens (3 s) that any text may take."""
PATIENCE: Final = 1.8
"""How many times as long as estimated a text may take besides: slow speech takes 1.5 times as long."""
DEAD_AIR: Final = frozenset({4137, 4215, 4218, 4299, 6162, 6324, 6405, 6486})
"""The speech tokens that sound as silence or room noise: those of the lowest level in renderings of the whole codebook
of the S3 tokenizer v2, and those that published token dumps of Turbo show in its pauses. One dump is a runaway of 240
times 4218. Short runs are ordinary: a greedy "Hello world." begins with 3700, 4218, 4218 and ends with four of 4218."""
DEAD_AIR_CAP: Final = 50
"""Tokens of dead air in a row (2 s) after which the model has lost its way; pauses between sentences last about 1 s."""


class Sampler:
    """Draws the tokens of one utterance: the options, the generator, and which tokens were drawn before."""

    def __init__(self, sampling: Sampling, generator: torch.Generator, vocab: int) -> None:
        self._sampling = sampling
        self._generator = generator
        self._seen = torch.zeros(vocab, dtype=torch.bool, device=generator.device)
        self._seen[START] = True  # upstream counts the start token as drawn, for the first draw only
        self._first = True

    def draw(self, logits: torch.Tensor) -> int:
        """The next token, from float logits `[vocab]`. Raises `ModelError` where they are not finite.

        A device waits for the program once, when it hands over the token.
        """
        if self._sampling.temperature == 0 or self._sampling.top_k == 1:  # the penalty comes after top-k
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
        """A draw, as a scalar; nothing is computed of tokens that top-k leaves out.

        Of tokens exactly as likely as the least likely one kept, upstream keeps all.
        """
        options = self._sampling
        # What torch's `multinomial` draws, and as much of it: one token is the largest of probability / exponential.
        noise = torch.empty_like(logits).exponential_(1, generator=self._generator)
        logits, tokens = torch.topk(logits, min(options.top_k or len(logits), len(logits)))
        if options.temperature != 1:
            logits = logits / options.temperature
        if options.top_p < 1:
            rest = logits.softmax(dim=-1).flip(0).cumsum(dim=-1).flip(0)  # of each token and all less likely ones
            unlikely = rest <= 1 - options.top_p
            unlikely[0] = False
            logits = logits.masked_fill(unlikely, -torch.inf)
        if options.repetition_penalty != 1:
            penalty = options.repetition_penalty
            penalised = torch.where(logits < 0, logits * penalty, logits / penalty)
            logits = torch.where(self._seen[tokens], penalised, logits)
        return tokens[(logits.softmax(dim=-1) / noise[tokens]).argmax()]


class Guard:
    """Watches the tokens of one utterance and says when to stop, though the model goes on.

    Parameters
    ----------
    budget
        Tokens that speaking the text can take at most; None to trust the model up to `MAX_TOKENS`, silence included.
    """

    def __init__(self, budget: int | None) -> None:
        self.most = MAX_TOKENS if budget is None else min(budget, MAX_TOKENS)
        """Tokens that the utterance can have."""
        self._patience = None if budget is None else DEAD_AIR_CAP
        self._drawn = self._silent = 0
        self.verdict = ""
        """Why the utterance was stopped, in words; empty as long as it was not."""

    def stops(self, token: int) -> bool:
        """Whether `token`, the next one of the utterance, is to be its last."""
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
