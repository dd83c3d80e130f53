"""T3: the causal transformer that says which speech tokens follow from a voice and a text.

The input of the network (`network`) is

    [speaker][voice tokens][text][start] then one speech token after another

with GPT-2's learned positions, which are counted from the speaker on. The network is causal, so the keys and values of
the voice's part depend on the voice alone. A `T3Prefix` holds them: it is computed once and is valid for every text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.precision.conversion import install, quantised
from tts_cli.engines.chatterbox.precision.quantised_layers import Parts
from tts_cli.engines.chatterbox.precision.smoothing import Sample, put_norms, smoothed
from tts_cli.engines.chatterbox.precision.weight_cache import cached_parts
from tts_cli.engines.chatterbox.t3.network import Cache, Network, T3Prefix
from tts_cli.engines.chatterbox.t3.sampling import MAX_TOKENS, Sampler
from tts_cli.engines.chatterbox.t3.token_step import FixedStep, TracedStep
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS, SPEECH_VOCABULARY, START, STOP, T3Config, read_config
from tts_cli.engines.chatterbox.weights.tensors import load_module


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What an utterance's tokens depend on, besides the weights."""

    prefix: T3Prefix
    text_ids: list[int]
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    budget: int | None = None
    """End after so many tokens; None to trust the model."""
    exactly: int | None = None
    """Draw so many tokens, all of which mean sound: the stop token cannot be drawn. For measuring, without a budget."""


class T3(Network):
    """Draws speech tokens. Read-only once loaded: an utterance's state lives in the generator `tokens`."""

    def __init__(self, config: T3Config) -> None:
        super().__init__(config)
        self.full: Callable[[], T3] | None = None
        """Loads the one with fp32 weights, where this one has others."""
        self.traced: TracedStep | None = None
        """The token's step, where it was loaded to speak on a CPU."""

    @classmethod
    def load(
        cls, folder: Path, device: torch.device | str = "cpu", precision: str = "fp32", sample: Sample | None = None
    ) -> T3:
        """Turbo's or Nano's T3 out of a folder of weights, in the precision of that name (`precision.choose`).

        int8 is calibrated with the voice `sample` (`smoothing`), if there is one.

        What is mapped is read when it is used: of a file of which a copy in 8 or 4 bits is kept, the
        embeddings of what is said, norms and biases. Raises as `weights.read_tensors` and `choose` do.
        """
        config, kind = read_config(folder), choose(precision, torch.device(device)).t3
        file = folder / config.t3_file

        def full() -> T3:
            return load_module(lambda: cls(config.t3), file, "", device)

        def made() -> dict[str, Parts]:
            whole = full()  # a T3 of its own, which takes the pages it read with it
            if kind != "int8" or sample is None:
                return quantised(whole, kind)
            return smoothed(whole, config.t3.n_layer, lambda: whole.prefix(sample.speaker, sample.voice_tokens))

        t3 = full()
        if kind != "fp32":
            depends = f"{config.t3} {sample.digest}" if kind == "int8" and sample else str(config.t3)
            parts = made() if kind == "bf16" else cached_parts(file, kind, depends, made)
            put_norms(t3, parts)
            install(t3, kind, parts)
            t3.full = full
        if t3.speech_emb.weight.device.type == "cpu" and kind != "bf16":  # oneDNN's product cannot be traced
            t3.traced = TracedStep(t3)
        return t3

    @torch.inference_mode()
    def prefix(self, speaker: Tensor, voice_tokens: Tensor) -> T3Prefix:
        """Keep what T3 needs of a voice: speaker embedding `[1, 256]`, speech tokens int64 `[1, n]`.

        Computed with fp32 weights whatever this T3's precision, so that it serves every precision: they are
        read for it if need be, and let go.
        """
        if self.full is not None:
            return self.full().prefix(speaker, voice_tokens)
        return self.read_voice(speaker, voice_tokens)

    def tokens(self, request: TokenRequest) -> Iterator[int]:
        """Speech tokens, each as soon as it is drawn, exactly those of upstream's `inference_turbo`.

        The stop token ends them and is not among them; ids from `SPEECH_VOCABULARY` on, which mean no sound, can
        be. Upstream does not look at the very first token when it decides to stop, so a leading stop token
        is yielded.
        """
        room = self.config.n_positions - request.prefix.positions - len(request.text_ids) - 1
        limits = (request.budget, request.exactly, MAX_TOKENS, room)
        limit = min(limit for limit in limits if limit is not None)
        # A token is drawn on the CPU, wherever its logits were computed: a seed says the same on every device, and a
        # device waits for the program no oftener than it must to hand over a token.
        sampler = Sampler(request.sampling, torch.Generator().manual_seed(request.seed), SPEECH_IDS)
        cache, logits = self._read(request.prefix, request.text_ids, limit)
        step = self._stepper(cache)
        for index in range(limit):
            logits = logits.cpu()
            token = sampler.draw(logits if request.exactly is None else _without_marks(logits))
            if token == STOP and index:
                return
            yield token
            if index + 1 == limit:
                return
            logits = step(token)

    @torch.inference_mode()
    def logits(self, prefix: T3Prefix, text_ids: list[int], tokens: list[int]) -> Tensor:
        """What `tokens` would be drawn from, and the token behind them: float32 `[len(tokens) + 1, vocabulary]`.

        Computed as `tokens` computes it, one after another.
        """
        cache, first = self._read(prefix, text_ids, len(tokens))
        step = self._stepper(cache)
        return torch.stack([first, *(step(token).clone() for token in tokens)])

    @torch.inference_mode()
    def _read(self, prefix: T3Prefix, text_ids: list[int], limit: int) -> tuple[Cache, Tensor]:
        """The cache after voice, text and start token, and the logits for the first speech token."""
        cache = self.room(prefix.positions + len(text_ids) + 1 + limit)
        cache.keys[:, :, : prefix.positions] = prefix.keys
        cache.values[:, :, : prefix.positions] = prefix.values
        cache.filled = prefix.positions
        text = self.text_emb.weight[torch.tensor(text_ids, device=self.text_emb.weight.device)]
        return cache, self.next_logits(torch.cat([text, self.speech_emb.weight[START][None]]), cache)

    def _stepper(self, cache: Cache) -> Callable[[int], Tensor]:
        """Takes a token and gives the logits behind it, which are valid until the next call."""
        if cache.keys.device.type == "cuda":
            return FixedStep(self, cache)
        traced = self.traced
        if traced is not None:
            return lambda token: traced(token, cache)
        return lambda token: self.next_logits(self.speech_emb.weight[token][None], cache)


def _without_marks(logits: Tensor) -> Tensor:
    """The same logits, but start and stop are all but impossible."""
    return F.pad(logits[:SPEECH_VOCABULARY], (0, len(logits) - SPEECH_VOCABULARY), value=-1e9)
