"""Measures the error of each linear map of T3 in a precision, on its own, so that errors do not add up.

Every map gets the input that it has in fp32 while T3 reads a text and some tokens. A map after a layer norm is measured
together with the norm, because int8 may have moved a factor from one to the other (`smoothing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from tts_cli.engines.chatterbox.precision.smoothing import pairs, relative
from tts_cli.engines.chatterbox.proof.verdict import MapError
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.t3.network import T3Prefix

TOKENS: Final = 32
"""How many tokens of the utterance are read after the text."""


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map of T3, with its input and its result in fp32."""

    layer: int | None
    """The number of its layer; None for the last map."""
    name: str
    modules: tuple[str, ...]
    """The names of the layer norm before it, if there is one, and of the map."""
    taken: Tensor
    """The input, `[positions, inputs]`."""
    given: Tensor
    """The result, `[positions, outputs]`."""


@torch.inference_mode()
def watch(t3: T3, prefix: T3Prefix, ids: list[int], tokens: Sequence[int]) -> list[Map]:
    """Record the inputs and results of all maps of a T3 in fp32.

    Parameters
    ----------
    t3
        The T3.
    prefix
        The prefix of a voice.
    ids
        The text tokens that it reads.
    tokens
        The speech tokens that it reads, `TOKENS` at most.

    Returns
    -------
    list of Map
        In the order in which they are computed.
    """
    chains = _chains(t3.config.n_layer)
    seen: dict[str, list[Tensor]] = {modules[0]: [] for _layer, _name, modules in chains}
    scripted, t3.scripted = t3.scripted, False  # TorchScript calls no hooks
    try:
        with ExitStack() as hooks:
            for name, rows in seen.items():
                hook = t3.get_submodule(name).register_forward_pre_hook(_recorder(rows))
                hooks.callback(hook.remove)
            t3.logits(prefix, ids, list(tokens[:TOKENS]))
    finally:
        t3.scripted = scripted
    maps = []
    for layer, name, modules in chains:
        taken = torch.cat(seen.pop(modules[0]))
        maps.append(Map(layer, name, modules, taken, _through(t3, modules, taken)))
    return maps


@torch.inference_mode()
def errors(precision: str, t3: T3, maps: Sequence[Map]) -> list[MapError]:
    """Measure the errors of the maps in a precision.

    Parameters
    ----------
    precision
        The precision of `t3`.
    t3
        A T3 with the same sizes as the one that was watched.
    maps
        What `watch` has recorded.

    Returns
    -------
    list of MapError
        Relative errors, in the order of `maps`.
    """
    return [
        MapError(precision, each.layer, each.name, relative(_through(t3, each.modules, each.taken), each.given))
        for each in maps
    ]


def _chains(layers: int) -> list[tuple[int | None, str, tuple[str, ...]]]:
    """Layer, name and modules of each map, in the order in which they are computed."""
    norms = {linear: norm for norm, linear in pairs(layers)}
    chains: list[tuple[int | None, str, tuple[str, ...]]] = []
    for layer in range(layers):
        for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
            linear = f"tfmr.h.{layer}.{name}"
            chains.append((layer, name, (norms[linear], linear) if linear in norms else (linear,)))
    return [*chains, (None, "speech_head", (norms["speech_head"], "speech_head"))]


def _recorder(rows: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def record(_module: nn.Module, taken: tuple[Tensor, ...]) -> None:
        rows.append(taken[0].reshape(-1, taken[0].shape[-1]).clone())

    return record


def _through(t3: nn.Module, modules: Sequence[str], x: Tensor) -> Tensor:
    for name in modules:
        x = t3.get_submodule(name)(x)
    return x
