"""One token through T3 without Python between the layers: with fixed shapes for CUDA graphs, traced for int4 on a CPU.

T3 and S3Gen compute at the same time in two threads, and only one thread can hold Python's interpreter. If T3 ran
layer by layer in Python, each thread would wait for the other about a thousand times a chunk. Measured, that takes half
as long again as the work itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import TypedModule
from tts_cli.engines.chatterbox.t3.network import Cache, Network


class TracedStep:
    """The step as TorchScript, which needs the interpreter only at its beginning and end.

    It holds no state of an utterance, so several threads can call it, each with its own cache.

    Parameters
    ----------
    network
        The loaded T3, on a CPU.
    """

    def __init__(self, network: Network) -> None:
        positions = 2
        room = network.speech_emb.weight.new_zeros(network.cache_shape(positions))
        where = torch.tensor([positions - 1], device=room.device)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # the layers branch on the number of positions, which is always 1 here
            self._step = _traced(
                _Step(network), token=torch.zeros_like(where), where=where, keys=room, values=room.clone()
            )

    @torch.inference_mode()
    def __call__(self, token: int, cache: Cache) -> Tensor:
        """Add `token` to `cache`, and return the next token's logits `[ids]`."""
        where = torch.tensor([cache.filled], device=cache.keys.device)
        cache.filled += 1
        known = cache.keys[:, :, : cache.filled], cache.values[:, :, : cache.filled]
        # There is nothing to fuse here, and optimising would make the first two calls slow.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            logits: Tensor = self._step(torch.full_like(where, token), where, *known)
        return logits


class _Step(TypedModule):
    """One token through T3, in a form that can be traced."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.speech_emb, self.tfmr, self.speech_head = network.speech_emb, network.tfmr, network.speech_head

    def forward(self, token: Tensor, where: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The logits `[ids]` after `token` `[1]` at position `where` `[1]`; keys and values end with that position."""
        return self.speech_head(self.tfmr.at(self.speech_emb(token), where, keys, values, None))


def _traced(module: nn.Module, **inputs: Tensor) -> Callable[..., Any]:
    """Trace `module.forward`, as `torch.jit.trace` does, but into a compilation unit of its own.

    A compilation unit owns the graphs of its traces. `torch.jit.trace` puts all of them into a single one, which lives
    as long as the process. It has a parameter for another one, but ignores it for modules.

    Parameters
    ----------
    module
        What to trace.
    inputs
        The arguments of `forward`.
    """
    torch_c: Any = torch._C  # noqa: SLF001
    script = torch_c.ScriptModule(type(module).__name__, torch_c.CompilationUnit(), False)
    weights = [weight for part in module.modules() for weight in _weights(part)]
    for index, weight in enumerate(weights):  # what the trace finds here is not copied into it as a constant
        script._register_attribute(f"weight_{index}", torch_c._jit_try_infer_type(weight).type(), weight)  # noqa: SLF001
    names, no_name = list(inputs), lambda _: ""
    script._create_method_from_trace("forward", module, tuple(inputs.values()), no_name, True, False, names, False)  # noqa: SLF001
    forward: Callable[..., Any] = script._get_method("forward")  # noqa: SLF001
    return forward


def _weights(part: nn.Module) -> Iterator[Tensor]:
    """The weights of a module without those of its parts."""
    yield from part.parameters(recurse=False)
    yield from part.buffers(recurse=False)


class FixedStep:
    """The step of one utterance with fixed shapes: attention covers the whole room of the cache, with a mask.

    On CUDA it is recorded as a CUDA graph when it is made. A test on a CPU compares its results with those of the
    network. Recording has not been tried on a device.

    Parameters
    ----------
    network
        The loaded T3.
    cache
        The cache after voice and text, with room for all tokens of the utterance.
    """

    @torch.inference_mode()
    def __init__(self, network: Network, cache: Cache) -> None:
        device = cache.keys.device
        self._network, self._cache = network, cache
        self._token = torch.zeros(1, dtype=torch.long, device=device)
        self._position = torch.full((1,), cache.filled, device=device)
        self._positions = torch.arange(cache.keys.shape[2], device=device)
        for part in (cache.keys, cache.values):
            part[:, :, cache.filled :] = 0  # a masked NaN would still make the result NaN
        self._graph = self._record() if device.type == "cuda" else None

    @torch.inference_mode()
    def __call__(self, token: int) -> Tensor:
        """Add `token` to the cache, and return the next token's logits `[ids]`, which the next call overwrites."""
        self._token.fill_(token)
        self._position.fill_(self._cache.filled)
        self._cache.filled += 1
        if self._graph is None:
            return self._compute()
        self._graph.replay()  # type: ignore[no-untyped-call]
        return self._logits

    def _compute(self) -> Tensor:
        mask = (self._positions <= self._position)[None]
        known = self._network.speech_emb(self._token)
        keys, values = self._cache.keys, self._cache.values
        return self._network.state_logits(
            self._network.tfmr.at(known, self._position, keys, values, mask, self._position)
        )

    def _record(self) -> torch.cuda.CUDAGraph:
        # The first computation allocates memory, which is not allowed while a graph is recorded.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call]
        with torch.cuda.graph(graph):
            self._logits = self._compute()
        return graph
