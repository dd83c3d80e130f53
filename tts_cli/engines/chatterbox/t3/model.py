"""T3: the causal transformer that says which speech tokens follow from a voice and a text.

The network is GPT-2's (Radford et al. 2019), written here in plain torch under the names of upstream's
state dict (`chatterbox.models.t3.t3.T3` with a GPT-2 backbone, chatterbox-tts 0.1.7), without the parts
that speaking does not use (`text_head`, `tfmr.wte`). Its input is

    [speaker][voice tokens][text][start] then one speech token after another

with GPT-2's learned positions, counted from the speaker on. As it is causal, keys and values of the voice's
part depend on the voice alone: a `T3Prefix` holds them, computed once and valid for every text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.options import Sampling
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.precision.quantised_layers import Parts, Projection, install, quantised
from tts_cli.engines.chatterbox.precision.smoothing import Sample, put_norms, smoothed
from tts_cli.engines.chatterbox.precision.weight_cache import lowered
from tts_cli.engines.chatterbox.t3.sampling import (
    MAX_TOKENS,
    SPEECH_VOCAB,
    START,
    STOP,
    Sampler,
)
from tts_cli.engines.chatterbox.t3.token_step import FixedStep, TracedStep
from tts_cli.engines.chatterbox.weights.config import T3Config, read_config
from tts_cli.engines.chatterbox.weights.tensors import load_module

SPEAKER_WIDTH: Final = 256
TEXT_VOCAB: Final = 50_276
SPEECH_VOCAB_WITH_MARKS: Final = 6563
"""6561 tokens of sound, start and stop."""


@dataclass(frozen=True, slots=True)
class T3Prefix:
    """A voice's keys and values, each `[layers, heads, positions, width / heads]`. Read-only."""

    keys: Tensor
    values: Tensor

    @property
    def positions(self) -> int:
        """How many positions of T3's input the voice takes."""
        return int(self.keys.shape[2])


@dataclass(slots=True)
class Cache:
    """Keys and values of one utterance, with room for all its positions; `filled` are valid."""

    keys: Tensor
    values: Tensor
    filled: int = 0


class Attention(nn.Module):
    """Causal self-attention over what the cache holds and the new positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Projection(width, 3 * width)
        self.c_proj = Projection(width, width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, where: Tensor | None) -> Tensor:
        """`x` `[new, width]` are the last of the positions in `keys` and `values`, `[1, heads, all, width / heads]`.

        Their own keys and values are written there, or at `where`, int64 `[new]`: that is for CUDA alone, since MPS
        has had no `index_copy_`, or a wrong one. `mask` says who sees whom, `[new, positions]`, None for all.
        """
        new, width = x.shape
        query, key, value = self.c_attn(x).view(1, new, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
        if where is None:
            keys[:, :, -new:] = key
            values[:, :, -new:] = value
        else:
            keys.index_copy_(2, where, key)
            values.index_copy_(2, where, value)
        heard = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return self.c_proj(heard.transpose(1, 2).reshape(new, width))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """Four times as wide inside, with GPT-2's tanh approximation of GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = Projection(width, 4 * width)
        self.c_proj = Projection(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[positions, width]` to the same shape."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))  # type: ignore[no-any-return]


class Block(nn.Module):
    """One layer: attention and MLP, each on the normalised input and added to it."""

    def __init__(self, config: T3Config) -> None:
        super().__init__()
        width, heads, eps = config.n_embd, config.n_head, config.layer_norm_epsilon
        self.ln_1 = nn.LayerNorm(width, eps)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width, eps)
        self.mlp = MLP(width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, where: Tensor | None) -> Tensor:
        """As `Attention.forward`."""
        x = x + self.attn(self.ln_1(x), keys, values, mask, where)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Backbone(nn.Module):
    """GPT-2 without its token embedding."""

    def __init__(self, config: T3Config) -> None:
        super().__init__()
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        """New positions `[new, width]` in, the last one's state `[width]` out; the cache grows by `new`."""
        known, end = cache.filled, cache.filled + len(x)
        places = torch.arange(end, device=x.device)
        mask = places <= places[known:, None] if len(x) > 1 else None
        state = self.at(x, places[known:], cache.keys[:, :, :end], cache.values[:, :, :end], mask)
        cache.filled = end
        return state

    def at(
        self, x: Tensor, places: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, where: Tensor | None = None
    ) -> Tensor:
        """The last one's state `[width]` of `x` at the positions `places`, int64 `[new]`.

        The rest is as in `Attention.forward`, with keys and values of all layers, `[layers, …]`.
        """
        x = x + self.wpe(places)
        layers = zip(self.h, keys[:, None].unbind(), values[:, None].unbind(), strict=True)
        for block, layer_keys, layer_values in layers:
            x = block(x, layer_keys, layer_values, mask, where)
        return self.ln_f(x[-1])  # type: ignore[no-any-return]


class SpeakerProjection(nn.Module):
    """The speaker embedding as one position of the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spkr_enc = nn.Linear(SPEAKER_WIDTH, width)


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


class T3(nn.Module):
    """Draws speech tokens. Read-only once loaded: an utterance's state lives in the generator `tokens`."""

    def __init__(self, config: T3Config) -> None:
        super().__init__()
        width = config.n_embd
        self.config = config
        self.cond_enc = SpeakerProjection(width)
        self.text_emb = nn.Embedding(TEXT_VOCAB, width)
        self.speech_emb = nn.Embedding(SPEECH_VOCAB_WITH_MARKS, width)
        self.tfmr = Backbone(config)
        self.speech_head = nn.Linear(width, SPEECH_VOCAB_WITH_MARKS)
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
            parts = made() if kind == "bf16" else lowered(file, kind, depends, made)
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
        device = self.speech_emb.weight.device
        cache = self._room(1 + voice_tokens.shape[-1])
        known = self.speech_emb(voice_tokens.reshape(-1).to(device))
        position = self.cond_enc.spkr_enc(speaker.reshape(1, SPEAKER_WIDTH).to(device, known.dtype))
        self.tfmr(torch.cat([position, known]), cache)
        return T3Prefix(cache.keys, cache.values)

    def tokens(self, request: TokenRequest) -> Iterator[int]:
        """Speech tokens, each as soon as it is drawn, exactly those of upstream's `inference_turbo`.

        The stop token ends them and is not among them; ids from `SPEECH_VOCAB` on, which mean no sound, can
        be. Upstream does not look at the very first token when it decides to stop, so a leading stop token
        is yielded.
        """
        room = self.config.n_positions - request.prefix.positions - len(request.text_ids) - 1
        limits = (request.budget, request.exactly, MAX_TOKENS, room)
        limit = min(limit for limit in limits if limit is not None)
        # A token is drawn on the CPU, wherever its logits were computed: a seed says the same on every device, and a
        # device waits for the program no oftener than it must to hand over a token.
        sampler = Sampler(request.sampling, torch.Generator().manual_seed(request.seed), SPEECH_VOCAB_WITH_MARKS)
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
        cache = self._room(prefix.positions + len(text_ids) + 1 + limit)
        cache.keys[:, :, : prefix.positions] = prefix.keys
        cache.values[:, :, : prefix.positions] = prefix.values
        cache.filled = prefix.positions
        text = self.text_emb.weight[torch.tensor(text_ids, device=self.text_emb.weight.device)]
        return cache, self._step(torch.cat([text, self.speech_emb.weight[START][None]]), cache)

    def _stepper(self, cache: Cache) -> Callable[[int], Tensor]:
        """Takes a token and gives the logits behind it, which are valid until the next call."""
        if cache.keys.device.type == "cuda":
            return FixedStep(self, cache)
        traced = self.traced
        if traced is not None:
            return lambda token: traced(token, cache)
        return lambda token: self._step(self.speech_emb.weight[token][None], cache)

    @torch.inference_mode()
    def _step(self, embeddings: Tensor, cache: Cache) -> Tensor:
        return self.state_logits(self.tfmr(embeddings, cache))

    def state_logits(self, state: Tensor) -> Tensor:
        """Logits `[vocabulary]` of a state `[width]`."""
        return self.speech_head(state)  # type: ignore[no-any-return]

    def cache_shape(self, positions: int) -> tuple[int, int, int, int]:
        """Shape of the keys, and of the values, of so many positions."""
        sizes = self.config
        return sizes.n_layer, sizes.n_head, positions, sizes.n_embd // sizes.n_head

    def _room(self, positions: int) -> Cache:
        shape, weight = self.cache_shape(positions), self.speech_emb.weight
        return Cache(weight.new_empty(shape), weight.new_empty(shape))


def _without_marks(logits: Tensor) -> Tensor:
    """The same logits, but start and stop are all but impossible."""
    return F.pad(logits[:SPEECH_VOCAB], (0, len(logits) - SPEECH_VOCAB), value=-1e9)
