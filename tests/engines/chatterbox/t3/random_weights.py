"""A small T3 with random weights."""

from __future__ import annotations

import torch

from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.t3.batch_step import BatchStep
from tts_cli.engines.chatterbox.t3.model import T3
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.weights.config import T3Config


def random_t3(kind: str) -> T3:
    """With weights large enough for the context to matter."""
    t3 = T3(T3Config(n_layer=3, n_embd=64, n_head=4)).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in t3.parameters():
        weight.data.normal_(0, 0.2, generator=generator)
    convert(t3, kind)
    t3.batch_step = BatchStep(t3)
    return t3


def random_prefix(seed: int, tokens: int) -> T3Prefix:
    generator = torch.Generator().manual_seed(seed)
    speaker = torch.randn(1, 256, generator=generator)
    return random_t3("fp32").prefix(speaker, torch.randint(0, 6561, (1, tokens), generator=generator))
