"""torch's CPU kernels for int8 and bf16: which of them work on this machine, and how weights are packed for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import torch
from torch import Tensor

LENGTH: Final = 1000
"""The length of a convolution's input that oneDNN is given when it packs a weight; longer than any kernel."""


@cache
def int8_engine() -> str | None:
    """The name of torch's engine for int8; None if there is none.

    fbgemm is the fastest on x86. qnnpack is for ARM and has not been tried.
    """
    there = torch.backends.quantized.supported_engines
    return next((name for name in ("fbgemm", "qnnpack") if name in there), None)


@contextmanager
def int8_packing() -> Iterator[None]:
    """Pack weights for `int8_engine`, as a context manager. It restores torch's engine, which is a global setting."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = int8_engine() or before
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


@cache
def int8_saturates() -> bool:
    """Whether products of 8 by 8 bits overflow, as on CPUs without VNNI. Inputs are then rounded to 7 bits.

    The largest possible product is computed to find out.
    """
    packed = int8_packed(torch.full((16, 64), 127, dtype=torch.int8), torch.ones(16), None)
    product = torch.ops.quantized.linear_dynamic(torch.full((1, 64), 255.0), packed, False)
    return bool((product != 127 * 255 * 64).any())


def int8_packed(codes: Tensor, scales: Tensor, bias: Tensor | None) -> torch.ScriptObject:
    """Pack a weight for torch's `quantized::linear_dynamic`.

    Parameters
    ----------
    codes
        Int8 `[outputs, inputs]`.
    scales
        Float32 `[outputs]`: weight = codes · scales.
    bias
        Float32 `[outputs]`, or None.

    Returns
    -------
    ScriptObject
        What `quantized::linear_dynamic` takes.
    """
    zeros = torch.zeros_like(scales).long()
    weight = torch._make_per_channel_quantized_tensor(codes, scales, zeros, 0)  # noqa: SLF001
    with int8_packing():
        packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(weight, bias)
    return packed


@cache
def packed_bf16_works() -> bool:
    """Whether oneDNN takes bf16 weights that it has packed before."""
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(torch.ones(16, 32, dtype=torch.bfloat16), None)  # noqa: SLF001
        product = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            torch.ones(1, 32, dtype=torch.bfloat16), weight, torch.ones(16), "none", [], ""
        )
        kernel, way = torch.ones(16, 16, 1, 3, dtype=torch.bfloat16).to_mkldnn(), ([0, 0], [1, 1], [1, 1], 1)
        kernel = torch._C._nn.mkldnn_reorder_conv2d_weight(kernel, *way, [1, 16, 1, LENGTH])  # type: ignore[call-arg]  # noqa: SLF001
        sound = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
            torch.ones(1, 16, 1, 8, dtype=torch.bfloat16), kernel, torch.ones(16), *way, "none", [], ""
        )
        return bool(product.eq(33).all()) and bool(sound.eq(49).all())
    except (AttributeError, RuntimeError):
        return False
