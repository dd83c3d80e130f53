"""A token's step in shapes that never change, which a CUDA device can replay without Python in between.

Attention looks at the whole room of the cache, behind a mask, and the position is a tensor. That this computes
what `T3` computes otherwise is tested on a CPU; recording it (torch's CUDA graphs) was never tried on a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tts_cli.engines.chatterbox.t3 import T3, Cache


class FixedStep:
    """The step of one utterance, recorded when it is made where the device is CUDA's."""

    @torch.inference_mode()
    def __init__(self, t3: T3, cache: Cache) -> None:
        """`cache` holds what came before; its room is what the utterance can take."""
        device = cache.keys.device
        self._t3, self._cache = t3, cache
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
        known = self._t3.speech_emb(self._token)
        return self._t3.state_logits(
            self._t3.tfmr.at(known, self._position, self._cache.keys, self._cache.values, mask)
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
