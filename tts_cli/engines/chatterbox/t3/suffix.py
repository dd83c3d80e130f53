"""The keys and values of a row after its prefix, which grow with the tokens that it draws."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(slots=True)
class Suffix:
    """The keys and values of a row after the prefix.

    Attributes
    ----------
    keys
        Transposed: float32 `[layers, heads, width / heads, room]`. Positions that are not valid are 0: their scores are
        computed, too, and left out.
    values
        float32 `[layers, heads, room, width / heads]`.
    filled
        How many positions are valid, from the first.
    """

    keys: Tensor
    values: Tensor
    filled: int = 0

    BLOCK = 128

    def reserve(self, new: int) -> None:
        """Make room for `new` more positions, in whole blocks: for each size, torch compiles a kernel once."""
        needed, room = self.filled + new, self.keys.shape[3]
        if needed <= room:
            return
        room = -(-needed // Suffix.BLOCK) * Suffix.BLOCK
        layers, heads, size = self.keys.shape[:3]
        keys, values = self.keys.new_zeros(layers, heads, size, room), self.values.new_empty(layers, heads, room, size)
        keys[..., : self.filled] = self.keys[..., : self.filled]
        values[:, :, : self.filled] = self.values[:, :, : self.filled]
        self.keys, self.values = keys, values
