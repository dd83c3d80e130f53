"""What a network of the flow takes from the positions before those it is given.

The flow's networks are written once, for some positions behind a past. `whole` runs them over everything with
nothing before it; a stream runs them over a chunk with what `cached` has kept.
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class Past(Protocol):
    """Asked by a network's layers, each in its turn, always in the same order."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """`x` `[1, channels, n]` behind the `reach` positions before it: `[1, channels, reach + n]`."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention `[1, heads, n, d]` of n positions over the past and all of themselves."""
        ...


class Nothing:
    """No past: convolutions see zeros, attention sees what is there."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        return F.pad(x, (reach, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Past`."""
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float())
