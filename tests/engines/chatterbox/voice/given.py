"""Voices and recordings that tests are given, and how voices are compared."""

from typing import Any

import numpy as np
import torch

from tts_cli.engines.chatterbox.voice.conditionals import (
    Conditionals,
)
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY


def voice(tokens: int = 12, mels: int = 24) -> Conditionals:
    generator = torch.Generator().manual_seed(3)
    return Conditionals(
        torch.randn(1, 256, generator=generator),
        torch.randint(0, SPEECH_VOCABULARY, (1, 20), generator=generator),
        {
            "prompt_token": torch.randint(0, SPEECH_VOCABULARY, (1, tokens), generator=generator),
            "prompt_token_len": torch.tensor([tokens]),
            "prompt_feat": torch.randn(1, mels, 80, generator=generator),
            "prompt_feat_len": None,
            "embedding": torch.randn(1, 192, generator=generator),
        },
    )


def assert_same(ours: Conditionals, speaker: torch.Tensor, tokens: torch.Tensor, gen: dict[str, Any]) -> None:
    torch.testing.assert_close(ours.speaker, speaker, rtol=0, atol=0)
    torch.testing.assert_close(ours.voice_tokens, tokens, rtol=0, atol=0)
    assert ours.gen.keys() == gen.keys()
    for name, value in ours.gen.items():
        if value is None:
            assert gen[name] is None
        else:
            torch.testing.assert_close(value, gen[name], rtol=0, atol=0)


def speech(seconds: float, rate: int, channels: int = 1) -> Any:
    """A buzz with a wandering pitch, in syllables: float64 `[frames, channels]`."""
    time_axis = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.4 * time_axis)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time_axis), 0, 1)
    noise = np.random.default_rng(5).normal(0, 0.01, (len(time_axis), channels))
    return 0.15 * (buzz * syllables)[:, None] + noise
