"""T3: the causal transformer that draws speech tokens for a voice and a text.

The input of the network (`network`) is

    [speaker][voice tokens][text][start] and then the speech tokens, one after another

with GPT-2's learned positions, counted from the speaker. The network is causal, so the keys and values of the voice's
part depend on the voice alone. A `T3Prefix` holds them: it is computed once and is valid for every text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.precision.conversion import install, pack, quantised
from tts_cli.engines.chatterbox.precision.quantised_layers import Parts
from tts_cli.engines.chatterbox.precision.smoothing import Sample, put_norms, smoothed
from tts_cli.engines.chatterbox.precision.weight_cache import cached_parts
from tts_cli.engines.chatterbox.t3.batch_step import BatchStep
from tts_cli.engines.chatterbox.t3.network import Cache, Network, T3Prefix
from tts_cli.engines.chatterbox.t3.sampling import MAX_TOKENS, Draws
from tts_cli.engines.chatterbox.t3.token_step import FixedStep, TracedStep
from tts_cli.engines.chatterbox.weights.config import START, T3Config, read_config
from tts_cli.engines.chatterbox.weights.tensors import load_module


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Everything that the tokens of one utterance depend on, besides the weights.

    Attributes
    ----------
    prefix
        The voice.
    text_ids
        The text tokens.
    sampling
        How tokens are drawn.
    seed
        Fixes the utterance's random numbers.
    budget
        The most tokens to draw; None to let the model decide when to stop.
    exactly
        The number of tokens to draw, all of which mean sound: the stop token cannot be drawn. For measuring.
    """

    prefix: T3Prefix
    text_ids: list[int]
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    budget: int | None = None
    exactly: int | None = None


class T3(Network):
    """Draws speech tokens. Once loaded it does not change: the generator `tokens` holds the state of an utterance.

    Attributes
    ----------
    full
        Loads T3 with fp32 weights; None if this one has them.
    batch_step
        The step of one row or several; None if it was not loaded for a CPU in fp32 or int8.
    traced_step
        The step of a token on a CPU in int4; otherwise None.
    scripted
        Whether steps are computed by one of these two, in TorchScript.
    """

    def __init__(self, config: T3Config) -> None:
        super().__init__(config)
        self.full: Callable[[], T3] | None = None
        self.scripted = False
        self.traced_step: TracedStep | None = None
        self.batch_step: BatchStep | None = None

    @classmethod
    def load(
        cls, folder: Path, device: torch.device | str = "cpu", precision: str = "fp32", sample: Sample | None = None
    ) -> T3:
        """Load the T3 of Turbo or Nano.

        The file of weights is mapped into memory, so only what is used is read. If the weight cache has the linear maps
        in 8 or 4 bits, that is the norms, the biases, and the rows of the embeddings that are looked up.

        Parameters
        ----------
        folder
            The weights.
        device
            Where to compute.
        precision
            `fp32`, `bf16`, `int8`, `int4` or `auto` (`precision.choose`).
        sample
            A voice to calibrate int8 with (`smoothing`); None to quantise without calibration.

        Returns
        -------
        T3
            Ready to draw.

        Raises
        ------
        TTSError
            As `weights.read_tensors` and `precision.choose` do.
        """
        config, kind = read_config(folder), choose(precision, torch.device(device)).t3
        file = folder / config.t3_file

        def full() -> T3:
            return load_module(lambda: cls(config.t3), file, "", device)

        def made() -> dict[str, Parts]:
            whole = full()  # a separate T3, so that the pages it has read are released with it
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
        if t3.speech_emb.weight.device.type == "cpu" and kind != "bf16":  # oneDNN's bf16 product cannot be traced
            t3.scripted = True
            t3.batch_step = BatchStep(t3) if BatchStep.computes(t3) else None
            if t3.batch_step is None:  # then every utterance is computed alone
                t3.traced_step = TracedStep(t3)
        return t3

    def settle(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Do now what makes later steps faster: pack the weights that are not packed.

        `wanted` is asked before each layer, in other threads. When it returns False, the other layers are left.
        """
        if pack(self, wanted) and self.batch_step is not None:
            self.batch_step.settle()

    @torch.inference_mode()
    def prefix(self, speaker: Tensor, voice_tokens: Tensor) -> T3Prefix:
        """Compute the keys and values of a voice, with fp32 weights, so that the result is valid in every precision.

        Where this T3 has another precision, the fp32 weights are loaded for this call and released after it.

        Parameters
        ----------
        speaker
            The speaker embedding, float32 `[1, 256]`.
        voice_tokens
            The speech tokens of the reference, int64 `[1, n]`.
        """
        if self.full is not None:
            return self.full().prefix(speaker, voice_tokens)
        return self.read_voice(speaker, voice_tokens)

    def tokens(self, request: TokenRequest) -> Iterator[int]:
        """Draw the speech tokens of an utterance: the same as upstream's `inference_turbo`.

        Yields
        ------
        int
            Each token as soon as it is drawn. The stop token ends the iteration and is not given; other ids from
            `SPEECH_VOCABULARY` on, which mean no sound, are. Upstream ignores the stop token in the first place, so
            there it is given.

        Raises
        ------
        ModelError
            If the network computes NaN or infinity.
        """
        draws = self.draws(request)
        if draws.ended:
            return
        logits, step = self._begin(request.prefix, request.text_ids, draws.limit)
        while (token := draws.draw(logits.cpu())) is not None:
            yield token
            if draws.ended:
                return
            logits = step(token)

    def draws(self, request: TokenRequest) -> Draws:
        """The draws of an utterance, before the first."""
        room = self.config.n_positions - request.prefix.positions - len(request.text_ids) - 1
        limits = (request.budget, request.exactly, MAX_TOKENS, room)
        limit = min(limit for limit in limits if limit is not None)
        return Draws(request.sampling, request.seed, limit, endless=request.exactly is not None)

    @torch.inference_mode()
    def logits(self, prefix: T3Prefix, text_ids: list[int], tokens: list[int]) -> Tensor:
        """The logits that each of `tokens`, and the token after them, would be drawn from.

        Computed as the method `tokens` does, one token after another.

        Parameters
        ----------
        prefix
            The prefix of a voice.
        text_ids
            The text tokens, which are read first.
        tokens
            The speech tokens, which are read after them, one after another.

        Returns
        -------
        Tensor
            float32 `[len(tokens) + 1, ids]`.
        """
        first, step = self._begin(prefix, text_ids, len(tokens))
        return torch.stack([first, *(step(token).clone() for token in tokens)])

    def at(self, positions: Tensor, place: int) -> Tensor:
        """Add the learned positions from `place` on to embeddings `[n, width]`."""
        return positions + self.tfmr.wpe.weight[place : place + len(positions)]

    def embedded(self, text_ids: list[int]) -> Tensor:
        """The embeddings `[n + 1, width]` of text tokens and of the start token after them."""
        weight = self.speech_emb.weight
        return torch.cat([self.text_emb.weight[torch.tensor(text_ids, device=weight.device)], weight[START][None]])

    @torch.inference_mode()
    def _begin(self, prefix: T3Prefix, text_ids: list[int], limit: int) -> tuple[Tensor, Callable[[int], Tensor]]:
        """Read voice, text and start token.

        Returns
        -------
        Tensor
            The logits `[ids]` of the first speech token.
        callable
            Takes a token, and returns the logits of the next one, valid until the next call.
        """
        weight = self.speech_emb.weight
        text = self.embedded(text_ids)
        if self.scripted and self.batch_step is not None:
            add = self._row(self.batch_step, prefix)
            return add(text), lambda token: add(weight[token][None])
        cache, logits = self._read(prefix, text, limit)
        return logits, self._stepper(cache)

    def _read(self, prefix: T3Prefix, text: Tensor, limit: int) -> tuple[Cache, Tensor]:
        """The cache after the voice and `text` `[n, width]`, with room for `limit` tokens, and the next logits."""
        cache = self.room(prefix.positions + len(text) + limit)
        cache.keys[:, :, : prefix.positions] = prefix.keys.transpose(2, 3)
        cache.values[:, :, : prefix.positions] = prefix.values
        cache.filled = prefix.positions
        return cache, self.next_logits(text, cache)

    def _row(self, step: BatchStep, prefix: T3Prefix) -> Callable[[Tensor], Tensor]:
        """A function that adds embeddings `[n, width]` to a row by itself, and returns the next token's logits."""
        suffix = step.suffix()

        def add(known: Tensor) -> Tensor:
            with torch.inference_mode():
                return step([prefix], [self.at(known, prefix.positions + suffix.filled)], [suffix])[0]

        return add

    def _stepper(self, cache: Cache) -> Callable[[int], Tensor]:
        """A function that takes a token and returns the next token's logits, valid until the next call."""
        if cache.keys.device.type == "cuda":
            return FixedStep(self, cache)
        traced = self.traced_step
        if self.scripted and traced is not None:
            return lambda token: traced(token, cache)
        return lambda token: self.next_logits(self.speech_emb.weight[token][None], cache)
