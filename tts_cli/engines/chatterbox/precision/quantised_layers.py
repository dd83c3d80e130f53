"""The quantised layers: linear maps and convolutions in each precision.

Every layer takes and returns float32, so residual streams and norms do not depend on the precision. There is one
exception: with `raw`, a layer returns bfloat16, for a layer that takes bfloat16.

- `bf16`: weights and inputs are rounded to bfloat16, and sums are float32.
- `int8`: weights in 8 bits with a scale for each output. Inputs are rounded to 8 bits with a scale for each position
  when they arrive (dynamic quantisation, torch's `quantized::linear_dynamic`). On a CPU only.
- `int4`: weights in 4 bits with a scale and a zero for each 32 inputs; inputs in bfloat16 (torch's
  `_weight_int4pack_mm_for_cpu`). On a CPU only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import TypedModule
from tts_cli.engines.chatterbox.precision.int8_products import (
    VECTOR,
    Int8Codes,
    codes_compute_the_same,
    int8_rows,
    int8_sums,
)
from tts_cli.engines.chatterbox.precision.kernels import LENGTH, int8_packed, int8_saturates, packed_bf16_works

GROUP: Final = 32
"""How many int4 weights share a scale and a zero."""
_ROWS: Final = 16
"""The int4 kernel needs a number of outputs that is a multiple of this."""

Parts = Mapping[str, Tensor]
"""A layer's weight as plain tensors, without its bias."""


class Projection(TypedModule):
    """A linear map whose weight is stored as in GPT-2: `[inputs, outputs]`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`[positions, inputs]` → `[positions, outputs]`."""
        return torch.addmm(self.bias, x, self.weight)


class Bf16Linear(TypedModule):
    """A linear map in bf16. On a CPU, its weight is packed in the layout of oneDNN's kernel.

    Parameters
    ----------
    parts
        The result of `parts`.
    bias
        Float32 `[outputs]`, or None.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, parts: Parts, bias: Tensor | None) -> None:
        super().__init__()
        weight = parts["weight"]
        self.packed = weight.device.type == "cpu" and packed_bf16_works()
        if self.packed:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, None)  # noqa: SLF001
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.raw = False
        """Whether the result is bfloat16."""

    @staticmethod
    def parts(weight: Tensor) -> dict[str, Tensor]:
        """The weight `[outputs, inputs]`, rounded to bfloat16."""
        return {"weight": weight.to(torch.bfloat16, memory_format=torch.contiguous_format)}

    def forward(self, x: Tensor) -> Tensor:
        """`[…, inputs]` → `[…, outputs]`. With a packed weight, the sum is rounded after the bias is added."""
        x = x.bfloat16()
        if self.packed:
            y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")  # noqa: SLF001
        else:
            y = F.linear(x, self.weight)
            y = y if self.bias is None else self.bias + y
        return y.bfloat16() if self.raw else y.float()


class Int8Linear(TypedModule):
    """A linear map in int8.

    Packing a weight for torch's kernel takes time and memory. If the processor computes the same from the
    unpacked codes, which may be mapped from a file, the weight is packed when `pack` is called, otherwise at once.

    Parameters
    ----------
    parts
        The result of `parts`.
    bias
        Float32 `[outputs]`, or None.

    Attributes
    ----------
    codes
        What the product is computed from while the weight is not packed; None afterwards.
    packed
        The packed weight; None while it is not packed.
    reduced
        Whether inputs are rounded to 7 bits.

    Examples
    --------
    >>> layer = Int8Linear(Int8Linear.parts(torch.eye(4)), None)
    >>> torch.allclose(layer(torch.ones(1, 4)), torch.ones(1, 4), atol=0.02)
    True
    """

    def __init__(self, parts: Parts, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = bias
        self.reduced = int8_saturates()
        self.packed: torch.ScriptObject | None = None
        codes, scales = parts["codes"], parts["scales"]
        # A number of inputs that does not fill the processor's vectors is rounded in another way at the end.
        unpacked = codes_compute_the_same() and codes.shape[1] % VECTOR == 0
        self.codes: Int8Codes | None = (codes, scales, int8_sums(codes)) if unpacked else None
        if not unpacked:
            self.packed = int8_packed(codes, scales, bias)

    def pack(self) -> torch.ScriptObject:
        """The packed weight. It is packed by the first call, which releases the codes. Results do not change."""
        known = self.codes
        if known is not None:  # another thread may pack it, too
            self.packed, self.codes = int8_packed(known[0], known[1], self.bias), None
        assert self.packed is not None
        return self.packed

    @staticmethod
    def parts(weight: Tensor) -> dict[str, Tensor]:
        """`codes` int8 `[outputs, inputs]` and `scales` float32 `[outputs]`: weight ≈ codes · scales."""
        scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny * 127) / 127
        codes = (weight / scales[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        return {"codes": codes.contiguous(), "scales": scales}

    def forward(self, x: Tensor) -> Tensor:
        """`[…, inputs]` → `[…, outputs]`."""
        rows = x.reshape(-1, x.shape[-1])
        known = self.codes  # before `packed`, because another thread may pack the weight and then release the codes
        y = int8_rows(rows, known, self.packed if known is None else None, self.bias, self.reduced)
        return y.view(*x.shape[:-1], -1)


class Int4Linear(TypedModule):
    """A linear map in int4.

    Parameters
    ----------
    parts
        The result of `parts`.
    bias
        Float32 `[outputs]`, or None.
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, parts: Parts, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("codes", parts["codes"], persistent=False)
        self.register_buffer("scales", parts["scales"], persistent=False)
        self.inputs, self.outputs = GROUP * len(parts["scales"]), int(parts["outputs"])
        self.bias = bias

    @staticmethod
    def parts(weight: Tensor) -> dict[str, Tensor]:
        """`codes` in the layout of this CPU's kernel, `scales` bfloat16 `[groups, outputs, 2]`, `outputs`."""
        outputs, inputs = weight.shape
        weight = F.pad(weight, (0, -inputs % GROUP, 0, -outputs % _ROWS))
        codes, scales = int4_codes(weight)
        packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)  # noqa: SLF001
        return {"codes": packed, "scales": scales.bfloat16(), "outputs": torch.tensor(outputs)}

    def forward(self, x: Tensor) -> Tensor:
        """`[…, inputs]` → `[…, outputs]`. The bias is added in float32."""
        rows = F.pad(x, (0, self.inputs - x.shape[-1])).reshape(-1, self.inputs).bfloat16()
        y = torch._weight_int4pack_mm_for_cpu(rows, self.codes, GROUP, self.scales)  # noqa: SLF001
        y = y[:, : self.outputs].view(*x.shape[:-1], self.outputs)
        return y.float() if self.bias is None else self.bias + y


def int4_codes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round each weight to the nearest of 16 evenly spaced values: weight ≈ (code − 8) · scale + zero.

    The scale of a group is the smallest one with which every weight is at most half a scale away from its value.

    Parameters
    ----------
    weight
        Float32 `[outputs, inputs]`; `inputs` is a multiple of `GROUP`.

    Returns
    -------
    codes : Tensor
        Int32 from 0 to 15, `[outputs, inputs]`.
    scales : Tensor
        Scale and zero of each group, exact in bfloat16, `[groups, outputs, 2]`.

    Examples
    --------
    >>> codes, scales = int4_codes(torch.arange(32.0).view(1, 32))
    >>> int(codes.min()), int(codes.max()), scales.shape
    (0, 15, torch.Size([1, 1, 2]))
    """
    grouped = weight.view(len(weight), -1, GROUP)
    least, most = grouped.amin(-1), grouped.amax(-1)
    zero = (least + (most - least) * (8 / 15)).bfloat16().float()
    scale = torch.maximum((zero - least) / 8, (most - zero) / 7).clamp_min(1e-30)
    rounded = scale.bfloat16().float()
    scale = torch.where(rounded < scale, (scale * (1 + 2**-8)).bfloat16().float(), rounded)
    codes = ((grouped - zero[..., None]) / scale[..., None]).round_().add_(8).clamp_(0, 15)
    return codes.int().view_as(weight), torch.stack([scale, zero], -1).transpose(0, 1).contiguous()


class Bf16Conv1d(TypedModule):
    """A convolution in bf16. On a CPU, its weight is packed once in the layout of oneDNN's kernel, not in every call.

    Parameters
    ----------
    like
        The float32 convolution that it replaces.
    """

    def __init__(self, like: nn.Conv1d) -> None:
        super().__init__()
        self.weight, self.bias = like.weight.detach().bfloat16(), like.bias
        (stride,), (dilation,) = like.stride, like.dilation
        self.like: tuple[Any, ...] = like.stride, like.padding, like.dilation, like.groups
        padding = 0 if isinstance(like.padding, str) else like.padding[0]
        self.flat: tuple[Any, ...] = [0, padding], [1, stride], [1, dilation], like.groups
        self.packed = not isinstance(like.padding, str) and self.weight.device.type == "cpu" and packed_bf16_works()
        if self.packed:
            flat = self.weight[:, :, None].to_mkldnn()
            # oneDNN asks for the shape of an input. For a kernel with one row, its length does not matter.
            shape = [1, like.in_channels, 1, LENGTH]
            self.weight = torch._C._nn.mkldnn_reorder_conv2d_weight(flat, *self.flat, shape)  # type: ignore[call-arg]  # noqa: SLF001

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channels, n]` → `[batch, out_channels, m]`. The bias is added in float32."""
        x = x.bfloat16()
        if self.packed:
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
                x[:, :, None], self.weight, self.bias, *self.flat, "none", [], ""
            )[:, :, 0]
            return y.float()
        y = F.conv1d(x, self.weight, None, *self.like)
        return y.float() if self.bias is None else self.bias[:, None] + y


@cache
def int4_works() -> bool:
    """Whether torch has a kernel for int4 that works on this CPU."""
    try:
        layer = Int4Linear(Int4Linear.parts(torch.ones(_ROWS, GROUP)), None)
        return bool(layer(torch.ones(1, GROUP)).eq(GROUP).all())
    except (AttributeError, RuntimeError):  # another version of torch, or a CPU for which it has no kernel
        return False
