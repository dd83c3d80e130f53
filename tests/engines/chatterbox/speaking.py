"""What the tests of the engine share: a text, options, and tokens that are known beforehand."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

import numpy as np
import torch

from tests.given import Given
from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions
from tts_cli.engines.chatterbox.t3.sampling import Draws

TEXT = "Hi: there [laugh]"
OPTIONS = ChatterboxOptions(chunk=20, strategy="independent")


def sound(engine: ChatterboxEngine, options: ChatterboxOptions, text: str = TEXT) -> Samples:
    return np.concatenate([chunk.samples for chunk in engine.stream(Given(text), "default", options)])


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name in ("prefetch", "draw tokens")]


class Scripted(Draws):
    """Draws given tokens, whatever the logits are; `error` comes after them."""

    def __init__(self, tokens: Iterable[int], error: Exception | None = None) -> None:
        self._tokens, self._error = deque(tokens), error
        self.limit = len(self._tokens) + (error is not None)
        self.ended = not self.limit

    def draw(self, logits: torch.Tensor) -> int | None:
        if not self._tokens:
            assert self._error is not None
            raise self._error
        token = self._tokens.popleft()
        self.ended = not self._tokens and self._error is None
        return token
