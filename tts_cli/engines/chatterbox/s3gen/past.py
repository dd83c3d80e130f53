"""What the networks of the flow need of the positions before those that they compute.

Each network is written once, for positions that come after a past. A whole utterance is computed with `NoPast`, and a
block of a stream with what the layers stored for the voice and for earlier blocks (`cached_past`).
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class Past(Protocol):
    """The past of one network. Its layers call these methods in the same order in every pass."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """Put the tail of a convolution before its new inputs.

        Parameters
        ----------
        x
            The new inputs `[1, channels, n]`.
        reach
            How many earlier positions the convolution sees.

        Returns
        -------
        Tensor
            `[1, channels, reach + n]`.
        """
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Compute attention over the past and all new positions.

        Parameters
        ----------
        query, key, value
            Those of n new positions, `[1, heads, n, d]`.

        Returns
        -------
        Tensor
            `[1, heads, n, d]`.
        """
        ...


class NoPast:
    """The past at the start: convolutions see zeros, and attention sees the new positions only."""

    def with_tail(self, x: Tensor, reach: int) -> Tensor:
        """See `Past`."""
        return F.pad(x, (reach, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Past`."""
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float())
