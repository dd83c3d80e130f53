"""Modules are built without values, and their initialisation costs nothing."""

from __future__ import annotations

import torch
from torch import nn

from tts_cli.engines.chatterbox.weights.tensors import built


class _Initialised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.seen = torch.zeros(4, device="cpu")
        nn.init.constant_(self.seen, 1)
        nn.init.normal_(tensor=self.seen, mean=1, std=0)


def test_a_module_is_built_with_shapes_only_and_is_not_initialised() -> None:
    module = built(_Initialised)

    assert module.inner.weight.is_meta
    assert module.inner.weight.shape == (2, 3)
    assert module.seen.tolist() == [0, 0, 0, 0]


def test_modules_that_others_make_are_initialised_as_before() -> None:
    built(_Initialised)

    assert _Initialised().seen.tolist() == [1, 1, 1, 1]
