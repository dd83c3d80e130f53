"""One step of several rows through T3, in TorchScript, so that it needs Python's interpreter only at its ends.

A row is a sequence that begins with the voice's prefix. All rows in one voice share the prefix: its keys and values are
read once for all of them and never copied (cascade attention, as in Hydragen, arXiv:2402.05099). The scores of a row
over the prefix and over its own positions, the suffix, share one softmax.

The function is compiled once per process, for any number of rows. The weights are its arguments, so they are released
with their T3.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Optional, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from tts_cli.engines.chatterbox.modules import Linear
from tts_cli.engines.chatterbox.precision.int8_products import Int8Codes, Packed, int8_rows
from tts_cli.engines.chatterbox.precision.quantised_layers import Int8Linear, Projection
from tts_cli.engines.chatterbox.t3.attention import Bags, bags, scores, weighted
from tts_cli.engines.chatterbox.t3.network import Network, T3Prefix
from tts_cli.engines.chatterbox.t3.suffix import Suffix

SHORT: Final = 100
"""Steps after which the rest of a text is likely to be long enough for packing to pay."""

Map: TypeAlias = tuple[Tensor | None, Tensor, Int8Codes | None, Optional[Packed]]  # noqa: UP045 - a class of torch's
"""A linear map: the weight `[inputs, outputs]`, None in int8; the bias; and in int8 the codes or the packed weight."""


class BatchStep:
    """Computes new positions of several rows at once. It holds no state of a row.

    Parameters
    ----------
    network
        The loaded T3, on a CPU, in fp32 or int8.
    """

    def __init__(self, network: Network) -> None:
        sizes = network.config
        self._shape = sizes.n_layer, sizes.n_head, sizes.n_embd // sizes.n_head
        norms, maps = [], []
        for block in network.tfmr.h:
            norms += [block.ln_1, block.ln_2]
            maps += [block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj]
        norms.append(network.tfmr.ln_f)
        maps.append(network.speech_head)
        self._norms = [(norm.weight.detach(), norm.bias.detach()) for norm in norms]
        self._layers = maps
        self._maps = [_map_of(layer) for layer in maps]
        self._steps = 0
        self._unpacked = [place for place, layer in enumerate(maps) if isinstance(layer, Int8Linear)]
        self._reduced = any(layer.reduced for layer in maps if isinstance(layer, Int8Linear))
        self._epsilon = sizes.layer_norm_epsilon
        self._step = _compiled()

    @staticmethod
    def computes(network: Network) -> bool:
        """Whether the step can compute with the layers of `network`."""
        fits = isinstance(network.speech_head, Linear | Int8Linear)
        return fits and network.speech_emb.weight.device.type == "cpu"

    def suffix(self) -> Suffix:
        """The empty suffix of a row."""
        layers, heads, size = self._shape
        return Suffix(torch.empty(layers, heads, size, 0), torch.empty(layers, heads, 0, size))

    @torch.inference_mode()
    def __call__(self, prefixes: Sequence[T3Prefix], new: Sequence[Tensor], suffixes: Sequence[Suffix]) -> Tensor:
        """Add new positions to each row, and return the logits `[rows, ids]` after each row's last one.

        Parameters
        ----------
        prefixes
            The voice of each row. Rows in the same voice stand next to each other: then its prefix is read once for
            all of them.
        new
            The new positions of each row, `[n, width]`.
        suffixes
            The suffix of each row.
        """
        for positions, suffix in zip(new, suffixes, strict=True):
            suffix.reserve(len(positions))
        self._steps += 1
        if len(new) > 1 or self._steps > SHORT:
            self._pack_one()
        voices: list[T3Prefix] = []
        spans: list[int] = []  # new positions in each voice
        for prefix, positions in zip(prefixes, new, strict=True):
            if not voices or voices[-1] is not prefix:
                voices.append(prefix)
                spans.append(0)
            spans[-1] += len(positions)
        # There is nothing to fuse here, and optimising would make the first calls slow.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            logits: Tensor = self._step(
                torch.cat(list(new)),
                [len(positions) for positions in new],
                [prefix.keys for prefix in voices],
                [prefix.values for prefix in voices],
                spans,
                [suffix.keys for suffix in suffixes],
                [suffix.values for suffix in suffixes],
                [suffix.filled for suffix in suffixes],
                [_later(len(positions), suffix.filled) for positions, suffix in zip(new, suffixes, strict=True)],
                self._norms,
                self._maps,
                self._reduced,
                self._epsilon,
            )
        for positions, suffix in zip(new, suffixes, strict=True):
            suffix.filled += len(positions)
        return logits

    @property
    def packed(self) -> bool:
        """Whether no weight is left to pack."""
        return not self._unpacked

    def settle(self) -> None:
        """Pack all weights now. Another thread may compute a step meanwhile."""
        while self._pack_one():
            pass

    def _pack_one(self) -> bool:
        """Pack the weight of one more int8 map, if there is one. This releases its codes.

        Packed weights are faster, above all for several rows. Packing all takes seconds, so a step packs one.
        """
        try:
            place = self._unpacked.pop()
        except IndexError:
            return False
        self._layers[place].pack()
        self._maps[place] = _map_of(self._layers[place])
        return True


def _later(new: int, filled: int) -> Tensor | None:
    """A mask that hides later positions from `new` ones after `filled` others, `[new, filled + new]`, if needed."""
    return torch.full((new, filled + new), float("-inf")).triu(filled + 1) if new > 1 else None


def _map_of(layer: Any) -> Map:
    bias = layer.bias.detach()
    if isinstance(layer, Int8Linear):
        known = layer.codes
        return None, bias, known, layer.pack() if known is None else None
    weight = layer.weight.detach()
    return weight if isinstance(layer, Projection) else weight.T, bias, None, None


@cache
def _compiled() -> Callable[..., Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of torch announce a successor
        compiled: Callable[..., Tensor] = torch.jit.script(_step)
    return compiled


def _step(
    x: Tensor,
    new: list[int],
    keys: list[Tensor],
    values: list[Tensor],
    spans: list[int],
    own_keys: list[Tensor],
    own_values: list[Tensor],
    filled: list[int],
    later: list[Tensor | None],
    norms: list[tuple[Tensor, Tensor]],
    maps: list[Map],
    reduced: bool,
    epsilon: float,
) -> Tensor:
    """The logits after each row's last new position. TorchScript: see `BatchStep`."""
    heads, size = keys[0].size(1), keys[0].size(2)
    sums: list[tuple[Bags, Bags]] = []  # over the keys and the values of each prefix
    for voice in range(len(spans)):
        positions = keys[voice].size(3)
        sums.append((bags(heads, spans[voice], size, size), bags(heads, spans[voice], positions, positions)))
    own_sums: list[tuple[Bags, Bags]] = []  # the same of each suffix
    for row in range(len(new)):
        known, room = filled[row] + new[row], own_keys[row].size(3)
        own_sums.append((bags(heads, new[row], size, size), bags(heads, new[row], known, room)))
    for layer in range(keys[0].size(0)):
        parts = _mapped(_normed(x, norms[2 * layer], epsilon), 4 * layer, maps, reduced)
        heard = _attention(parts, new, keys, values, spans, own_keys, own_values, filled, later, sums, own_sums, layer)
        x = x + _mapped(heard, 4 * layer + 1, maps, reduced)
        inner = _mapped(_normed(x, norms[2 * layer + 1], epsilon), 4 * layer + 2, maps, reduced)
        x = x + _mapped(F.gelu(inner, approximate="tanh"), 4 * layer + 3, maps, reduced)
    if x.size(0) > len(new):
        x = x[torch.tensor(new).cumsum(0) - 1]
    return _mapped(_normed(x, norms[-1], epsilon), len(maps) - 1, maps, reduced)


def _normed(x: Tensor, norm: tuple[Tensor, Tensor], epsilon: float) -> Tensor:
    return F.layer_norm(x, [x.size(1)], norm[0], norm[1], epsilon)


def _mapped(
    x: Tensor,
    index: int,
    maps: list[Map],
    reduced: bool,
) -> Tensor:
    weight, bias, codes, packed = maps[index]
    if weight is not None:
        return torch.addmm(bias, x, weight)
    return int8_rows(x, codes, packed, bias, reduced)


def _attention(
    x: Tensor,
    new: list[int],
    keys: list[Tensor],
    values: list[Tensor],
    spans: list[int],
    own_keys: list[Tensor],
    own_values: list[Tensor],
    filled: list[int],
    later: list[Tensor | None],
    sums: list[tuple[Bags, Bags]],
    own_sums: list[tuple[Bags, Bags]],
    layer: int,
) -> Tensor:
    """Attention of each row over its prefix and its own positions, whose keys and values are written first.

    `x` has queries, keys and values, `[positions, 3 · width]`; `spans` says how many positions are in each voice.
    """
    size = keys[0].size(2)
    parts = x.view(x.size(0), 3, -1, size).permute(1, 2, 0, 3)
    queries = parts[0] * size**-0.5
    heard: list[Tensor] = []
    row, start = 0, 0
    for voice in range(len(spans)):
        over_keys, over_values = sums[voice]
        positions = keys[voice].size(3)
        far = scores(queries[:, start : start + spans[voice]], keys[voice][layer], over_keys)
        shares: list[Tensor] = []
        near: list[Tensor] = []
        done = 0
        while done < spans[voice]:
            first, count, before = start + done, new[row], filled[row]
            its_keys, its_values = own_keys[row][layer], own_values[row][layer]
            its_keys[:, :, before : before + count] = parts[1, :, first : first + count].transpose(1, 2)
            its_values[:, before : before + count] = parts[2, :, first : first + count]
            over_own_keys, over_own_values = own_sums[row]
            own = scores(queries[:, first : first + count], its_keys, over_own_keys)[:, :, : before + count]
            hidden = later[row]
            if hidden is not None:
                own = own + hidden
            share = torch.cat([far[:, done : done + count], own], 2).softmax(2)
            shares.append(share[:, :, :positions])
            near.append(weighted(share[:, :, positions:], its_values, over_own_values))
            row, done = row + 1, done + count
        heard.append(weighted(_joined(shares), values[voice][layer], over_values) + _joined(near))
        start += spans[voice]
    return _joined(heard).transpose(0, 1).reshape(x.size(0), -1)


def _joined(parts: list[Tensor]) -> Tensor:
    """Join `parts` along their second dimension. A single part is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
