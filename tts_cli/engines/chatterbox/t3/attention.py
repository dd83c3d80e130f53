"""Attention of a few queries over many positions on a CPU, as fast as keys and values can be read from memory.

For one query, attention is two weighted sums. Its scores are the sum of the rows of the transposed keys, weighted by
the numbers of the query. Its result is the sum of the rows of the values, weighted by the softmax of the scores.
`torch.embedding_bag` computes such sums at the speed of memory. Matrix products and torch's fused attention are made
for many queries, and take up to twice as long for one (docs/lab/performance.md).

TorchScript compiles these functions.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import torch
from torch import Tensor

FEW: Final = 8
"""For more queries than these, matrix products are used."""

Bags: TypeAlias = tuple[Tensor, Tensor]
"""Which rows are added up: their indices, int32 `[heads · queries · rows of a bag]`, and where each of the `heads ·
queries` bags begins in them, int32. Both are empty where matrix products are used."""


def bags(heads: int, queries: int, rows: int, room: int, few: int = FEW) -> Bags:
    """The bags of one weighted sum for each head and query.

    Parameters
    ----------
    heads
        How many heads there are. Their rows stand one after another.
    queries
        How many queries there are. All have the same rows.
    rows
        How many rows of each head are added up, from its first.
    room
        How many rows each head has.
    few
        `FEW`. TorchScript reads no global numbers, but defaults.

    Examples
    --------
    >>> indices, begins = bags(heads=2, queries=1, rows=3, room=4)
    >>> indices.tolist(), begins.tolist()
    ([0, 1, 2, 4, 5, 6], [0, 3])
    """
    if queries > few:
        return torch.empty(0, dtype=torch.int32), torch.empty(0, dtype=torch.int32)
    first = torch.arange(heads, dtype=torch.int32) * room
    indices = first.view(heads, 1, 1) + torch.arange(rows, dtype=torch.int32)
    begins = torch.arange(heads * queries, dtype=torch.int32) * rows
    return indices.expand(heads, queries, rows).reshape(-1), begins


def scores(queries: Tensor, keys: Tensor, over: Bags) -> Tensor:
    """The products of queries and keys.

    Parameters
    ----------
    queries
        `[heads, queries, width / heads]`.
    keys
        Transposed: `[heads, width / heads, positions]`.
    over
        `bags(heads, queries, width / heads, width / heads)`.

    Returns
    -------
    Tensor
        `[heads, queries, positions]`.
    """
    indices, begins = over
    if indices.size(0) == 0:
        return torch.bmm(queries, keys)
    rows = keys.view(-1, keys.size(2))
    summed = torch.embedding_bag(rows, indices, begins, False, 0, False, queries.reshape(-1))[0]
    return summed.view(queries.size(0), queries.size(1), -1)


def weighted(shares: Tensor, values: Tensor, over: Bags) -> Tensor:
    """The sums of the values, weighted by each query's shares.

    Parameters
    ----------
    shares
        `[heads, queries, positions]`.
    values
        `[heads, room, width / heads]`, of which the first `positions` count.
    over
        `bags(heads, queries, positions, room)`.

    Returns
    -------
    Tensor
        `[heads, queries, width / heads]`.
    """
    indices, begins = over
    if indices.size(0) == 0:
        return torch.bmm(shares, values[:, : shares.size(2)])
    rows = values.view(-1, values.size(2))
    summed = torch.embedding_bag(rows, indices, begins, False, 0, False, shares.reshape(-1))[0]
    return summed.view(shares.size(0), shares.size(1), -1)
