"""Products with int8 weights: with a packed weight, or with its unpacked codes, which may be mapped from a file.

Packing all of Turbo's weights takes two seconds of a core. A row by itself is computed as fast from the codes; several
rows are faster with packed weights. On processors where both give the same bits, loading need not pack.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.precision.kernels import int8_engine, int8_packed, int8_saturates

if TYPE_CHECKING:
    Packed: TypeAlias = torch.ScriptObject
else:
    Packed = torch.classes.quantized.LinearPackedParamsBase  # the name that TorchScript knows

VECTOR: Final = 16
"""Rows whose length is a multiple of this are rounded in vectors only."""

Int8Codes: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""An int8 weight that is not packed: codes and scales as for `int8_packed`, and the result of `int8_sums`."""


def int8_sums(codes: Tensor) -> Tensor:
    """The sum of each output's codes, int32 `[outputs]`."""
    return torch._int_mm(torch.ones(1, codes.shape[1], dtype=torch.int8), codes.T)[0]  # noqa: SLF001


def int8_product_of_codes(rows: Tensor, codes: Int8Codes, bias: Tensor | None, reduced: bool) -> Tensor:
    """What `quantized::linear_dynamic` computes, from a weight that is not packed. TorchScript compiles it, too.

    The kernel adds the zero point and the bias in the multiplications by the scales, without rounding between. So does
    `addcmul`, on processors that can.

    Parameters
    ----------
    rows
        Float32 `[n, inputs]`.
    codes
        The weight.
    bias
        Float32 `[outputs]`, or None.
    reduced
        Whether rows are rounded to 7 bits.

    Returns
    -------
    Tensor
        `[n, outputs]`.
    """
    weight, scales, sums = codes
    scale, zero = torch._choose_qparams_per_tensor(rows.nan_to_num(), reduced)  # noqa: SLF001 - it refuses NaN
    numbers = torch.addcmul(torch.tensor(float(zero)), rows, torch.tensor(scale).reciprocal()).round_()
    signed = numbers.clamp_(0, 255).sub_(128).to(torch.int8)  # 128 less, as both factors must be int8
    whole = torch._int_mm(signed, weight.t()) + sums * (128 - zero)  # noqa: SLF001
    factors = scales * scale
    return whole.float() * factors if bias is None else torch.addcmul(bias, whole.float(), factors)


def int8_rows(
    rows: Tensor, codes: Int8Codes | None, packed: Packed | None, bias: Tensor | None, reduced: bool
) -> Tensor:
    """Multiply by a weight, and add its bias, with a scale for each row.

    The kernel has one scale for all rows, so each of several rows is first divided by its largest absolute value.

    Parameters
    ----------
    rows
        Float32 `[n, inputs]`.
    codes, packed
        The weight: one of both; the other is None.
    bias
        Float32 `[outputs]`, or None. `packed` has it, too.
    reduced
        Whether rows are rounded to 7 bits (`kernels.int8_saturates`).

    Returns
    -------
    Tensor
        Float32 `[n, outputs]`.
    """
    if rows.size(0) == 1:
        return int8_product(rows, codes, packed, bias, reduced)
    sizes = rows.abs().amax(1, keepdim=True).clamp_min(1.1754943508222875e-38)  # the least normal float32
    y = int8_product(rows / sizes, codes, packed, bias, reduced)
    # The kernel has added the bias to products that are too small by `sizes`. `lerp` corrects their distance to it.
    return y.mul_(sizes) if bias is None else torch.lerp(bias, y, sizes)


def int8_product(
    rows: Tensor, codes: Int8Codes | None, packed: Packed | None, bias: Tensor | None, reduced: bool
) -> Tensor:
    """Multiply by a weight, and add its bias. All rows share one scale.

    Parameters
    ----------
    rows, codes, packed, bias, reduced
        As for `int8_rows`.

    Returns
    -------
    Tensor
        Float32 `[n, outputs]`.
    """
    if packed is not None:
        y: Tensor = torch.ops.quantized.linear_dynamic(rows, packed, reduced)
        return y
    assert codes is not None
    return int8_product_of_codes(rows, codes, bias, reduced)


@cache
def codes_compute_the_same() -> bool:
    """Whether `int8_product_of_codes` gives, bit for bit, what the packed kernel gives. Sample rows are computed."""
    if int8_engine() != "fbgemm" or int8_saturates():
        return False
    codes = (torch.arange(48 * 64) * 7919 % 255 - 127).to(torch.int8).view(48, 64)
    scales, bias = torch.arange(1, 49).float().reciprocal(), torch.arange(48).float().sin()
    rows = torch.arange(3 * 64).float().cos().view(3, 64)
    try:
        known = codes, scales, int8_sums(codes)
        for added in (None, bias):
            packed = int8_packed(codes, scales, added)
            for some in (rows[:1], rows):
                right = torch.ops.quantized.linear_dynamic(some, packed, False)
                if not torch.equal(int8_product_of_codes(some, known, added, False), right):
                    return False
    except (AttributeError, RuntimeError):  # another version of torch
        return False
    return True
