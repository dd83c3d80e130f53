"""Attention of a few queries, computed as weighted sums."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.engines.chatterbox.t3.attention import FEW, bags, scores, weighted


@given(
    heads=st.integers(1, 5),
    queries=st.integers(1, FEW + 2),
    positions=st.integers(1, 40),
    unused=st.integers(0, 20),
    size=st.sampled_from([1, 8, 16, 64]),
    seed=st.integers(0, 1000),
)
def test_it_is_what_matrix_products_give(
    heads: int, queries: int, positions: int, unused: int, size: int, seed: int
) -> None:
    chance, room = torch.Generator().manual_seed(seed), positions + unused
    asked = torch.randn(heads, queries, size, generator=chance)
    keys, values = (torch.randn(heads, room, size, generator=chance) for _ in range(2))
    values[:, positions:] = torch.nan  # nobody wrote there yet
    found = scores(asked, keys.transpose(1, 2).contiguous(), bags(heads, queries, size, size))
    torch.testing.assert_close(found, asked @ keys.transpose(1, 2), rtol=1e-5, atol=1e-4)
    shares = found[:, :, :positions].softmax(2)
    heard = weighted(shares, values, bags(heads, queries, positions, room))
    torch.testing.assert_close(heard, shares @ values[:, :positions], rtol=1e-5, atol=1e-4)
