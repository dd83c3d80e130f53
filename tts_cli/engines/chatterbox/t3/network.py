"""T3's network: a GPT-2 (Radford et al. 2019) whose input begins with a speaker embedding, and its KV cache.

The modules are written in plain torch under the names of upstream's state dict (`chatterbox.models.t3.t3.T3` with a
GPT-2 backbone, chatterbox-tts 0.1.7), without the parts that speaking does not use (`text_head`, `tfmr.wte`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import Embedding, LayerNorm, Linear, TypedModule
from tts_cli.engines.chatterbox.precision.quantised_layers import Projection
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS, TEXT_VOCABULARY, T3Config

SPEAKER_WIDTH: Final = 256


@dataclass(frozen=True, slots=True)
class T3Prefix:
    """The keys and values of a voice. Read-only, so all utterances in that voice share them.

    Attributes
    ----------
    keys
        Transposed: float32 `[layers, heads, width / heads, positions]`.
    values
        float32 `[layers, heads, positions, width / heads]`.
    """

    keys: Tensor
    values: Tensor

    @property
    def positions(self) -> int:
        """Positions of T3's input that the voice takes."""
        return int(self.values.shape[2])


@dataclass(slots=True)
class Cache:
    """The KV cache of one utterance.

    Attributes
    ----------
    keys, values
        float32 `[layers, heads, room, width / heads]`, where `room` is all positions the utterance can take.
    filled
        How many positions are valid, from the first.
    """

    keys: Tensor
    values: Tensor
    filled: int = 0


class CausalAttention(TypedModule):
    """Causal self-attention of new positions over themselves and all positions before them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Projection(width, 3 * width)
        self.c_proj = Projection(width, width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, where: Tensor | None) -> Tensor:
        """Attend from the new positions, and write their keys and values.

        Parameters
        ----------
        x
            The new positions, `[new, width]`.
        keys, values
            One layer of the cache, `[1, heads, all, width / heads]`. The new positions are the last of them.
        mask
            Which positions each new position sees, bool `[new, all]`; None if each sees all.
        where
            Where to write the new keys and values, int64 `[new]`; None for the last places. For CUDA only: on MPS,
            `index_copy_` is missing or wrong in some versions of torch.

        Returns
        -------
        Tensor
            `[new, width]`.
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
        return self.c_proj(heard.transpose(1, 2).reshape(new, width))


class MLP(TypedModule):
    """The feed-forward network, four times as wide inside, with GPT-2's tanh approximation of GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = Projection(width, 4 * width)
        self.c_proj = Projection(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[positions, width]` to the same shape."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class GPT2Block(TypedModule):
    """One layer: attention and MLP, each applied to the normalised input and added to it."""

    def __init__(self, config: T3Config) -> None:
        super().__init__()
        width, heads, eps = config.n_embd, config.n_head, config.layer_norm_epsilon
        self.ln_1 = LayerNorm(width, eps)
        self.attn = CausalAttention(width, heads)
        self.ln_2 = LayerNorm(width, eps)
        self.mlp = MLP(width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, where: Tensor | None) -> Tensor:
        """Compute the layer.

        Parameters
        ----------
        x, keys, values, mask, where
            As for `CausalAttention.forward`.

        Returns
        -------
        Tensor
            `[new, width]`.
        """
        x = x + self.attn(self.ln_1(x), keys, values, mask, where)
        return x + self.mlp(self.ln_2(x))


class Backbone(TypedModule):
    """GPT-2 without its token embedding."""

    def __init__(self, config: T3Config) -> None:
        super().__init__()
        self.wpe = Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList(GPT2Block(config) for _ in range(config.n_layer))
        self.ln_f = LayerNorm(config.n_embd, config.layer_norm_epsilon)

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        """Compute new positions `[new, width]`, add them to `cache`, and return the last one's state `[width]`."""
        known, end = cache.filled, cache.filled + len(x)
        places = torch.arange(end, device=x.device)
        mask = places <= places[known:, None] if len(x) > 1 else None
        state = self.at(x, places[known:], cache.keys[:, :, :end], cache.values[:, :, :end], mask)
        cache.filled = end
        return state

    def at(
        self, x: Tensor, places: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, where: Tensor | None = None
    ) -> Tensor:
        """Compute new positions with the caller's views of the cache.

        Parameters
        ----------
        x
            The new positions, `[new, width]`.
        places
            Their positions in T3's input, int64 `[new]`.
        keys, values
            `[layers, heads, all, width / heads]`.
        mask, where
            See `CausalAttention.forward`.

        Returns
        -------
        Tensor
            The state of the last new position, `[width]`.
        """
        x = x + self.wpe(places)
        layers = zip(self.h, keys[:, None].unbind(), values[:, None].unbind(), strict=True)
        for block, layer_keys, layer_values in layers:
            x = block(x, layer_keys, layer_values, mask, where)
        return self.ln_f(x[-1])


class SpeakerProjection(TypedModule):
    """Makes one position of the input from the speaker embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spkr_enc = Linear(SPEAKER_WIDTH, width)


class Network(TypedModule):
    """The layers of T3, with the names of upstream's state dict."""

    def __init__(self, config: T3Config) -> None:
        super().__init__()
        width = config.n_embd
        self.config = config
        self.cond_enc = SpeakerProjection(width)
        self.text_emb = Embedding(TEXT_VOCABULARY, width)
        self.speech_emb = Embedding(SPEECH_IDS, width)
        self.tfmr = Backbone(config)
        self.speech_head = Linear(width, SPEECH_IDS)

    def cache_shape(self, positions: int) -> tuple[int, int, int, int]:
        """The shape of the keys (and of the values) for this many positions."""
        sizes = self.config
        return sizes.n_layer, sizes.n_head, positions, sizes.n_embd // sizes.n_head

    def room(self, positions: int) -> Cache:
        """An empty cache with room for this many positions."""
        shape, weight = self.cache_shape(positions), self.speech_emb.weight
        return Cache(weight.new_empty(shape), weight.new_empty(shape))

    def read_voice(self, speaker: Tensor, voice_tokens: Tensor) -> T3Prefix:
        """Compute the keys and values of a voice.

        Parameters
        ----------
        speaker
            The speaker embedding, float32 `[1, 256]`.
        voice_tokens
            The speech tokens of the reference, int64 `[1, n]`.
        """
        cache = self.room(1 + voice_tokens.shape[-1])
        known = self.speech_emb(voice_tokens.reshape(-1).to(self.speech_emb.weight.device))
        position = self.cond_enc.spkr_enc(speaker.reshape(1, SPEAKER_WIDTH).to(known.device, known.dtype))
        self.tfmr(torch.cat([position, known]), cache)
        return T3Prefix(cache.keys.transpose(2, 3).contiguous(), cache.values)

    @torch.inference_mode()
    def next_logits(self, embeddings: Tensor, cache: Cache) -> Tensor:
        """Compute new positions `[new, width]`, add them to `cache`, and return the next token's logits `[ids]`."""
        return self.state_logits(self.tfmr(embeddings, cache))

    def state_logits(self, state: Tensor) -> Tensor:
        """The logits `[ids]` of a state `[width]`."""
        return self.speech_head(state)
