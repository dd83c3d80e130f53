"""A token's step without Python in between: traced for a CPU, in shapes that CUDA can replay for a GPU.

T3 and S3Gen compute side by side in two threads. Step by step in Python, each would wait for the other's hold on the
interpreter some thousand times a chunk, which was measured to cost half as much again as the work itself.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.modules import TypedModule
from tts_cli.engines.chatterbox.t3.network import Cache, Network


class TracedStep:
    """The step as TorchScript, which needs the interpreter only to begin and to end. Read-only: any cache fits."""

    def __init__(self, network: Network) -> None:
        positions = 2
        room = network.speech_emb.weight.new_zeros(network.cache_shape(positions))
        where = torch.tensor([positions - 1], device=room.device)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # newer versions of torch announce a successor
            # Traced once, so nothing is gained by checking it against a second trace; the tests do.
            self._step = torch.jit.trace(  # type: ignore[no-untyped-call]
                _Step(network), (torch.zeros_like(where), where, room, room.clone()), check_trace=False
            )

    @torch.inference_mode()
    def __call__(self, token: int, cache: Cache) -> Tensor:
        """Logits behind `token`; the cache grows by one."""
        where = torch.tensor([cache.filled], device=cache.keys.device)
        cache.filled += 1
        known = cache.keys[:, :, : cache.filled], cache.values[:, :, : cache.filled]
        # Optimising is for graphs that have something to fuse; here it would only make the first two calls slow.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            logits: Tensor = self._step(torch.full_like(where, token), where, *known)
        return logits


class _Step(TypedModule):
    """One token through T3, as a module that can be traced."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.speech_emb, self.tfmr, self.speech_head = network.speech_emb, network.tfmr, network.speech_head

    def forward(self, token: Tensor, where: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Logits `[vocabulary]` of `token` `[1]` at `where` `[1]`, with the cache's keys and values up to there."""
        return self.speech_head(self.tfmr.at(self.speech_emb(token), where, keys, values, None))


class FixedStep:
    """The step of one utterance on a GPU: attention looks at the whole room of the cache, behind a mask.

    Recorded when it is made where the device is CUDA's. That it computes what `T3` computes otherwise is tested on a
    CPU; recording it (torch's CUDA graphs) was never tried on a device.
    """

    @torch.inference_mode()
    def __init__(self, network: Network, cache: Cache) -> None:
        """`cache` holds what came before; its room is what the utterance can take."""
        device = cache.keys.device
        self._network, self._cache = network, cache
        self._token = torch.zeros(1, dtype=torch.long, device=device)
        self._position = torch.full((1,), cache.filled, device=device)
        self._positions = torch.arange(cache.keys.shape[2], device=device)
        for part in (cache.keys, cache.values):
            part[:, :, cache.filled :] = 0  # what is masked counts for nothing, unless it is no number
        self._graph = self._record() if device.type == "cuda" else None

    @torch.inference_mode()
    def __call__(self, token: int) -> Tensor:
        """Logits behind `token`, valid until the next call; the cache grows by one."""
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
        # What is computed for the first time allocates, which a recording must not.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call]
        with torch.cuda.graph(graph):
            self._logits = self._compute()
        return graph
