"""The layers that hold a large weight, linear maps and convolutions, in each precision.

Every layer takes float32 and gives float32, whatever it computes in. So everything else (residual stream, norms) stays
float32 and knows nothing of precision. Only a layer whose successor takes bfloat16 may be told to give that (`raw`).

- `bf16`: weights and inputs rounded to bfloat16, sums in float32.
- `int8`: weights in 8 bits with a scale for each output; inputs to 8 bits with a scale for each position, as they
  come ("dynamic quantisation", torch's `quantized::linear_dynamic`). On a CPU only.
- `int4`: weights in 4 bits with a scale and a zero for each 32 inputs; inputs in bfloat16 (torch's
  `_weight_int4pack_mm_for_cpu`). On a CPU only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts_cli.engines.chatterbox.modules import TypedModule

GROUP: Final = 32
"""How many int4 weights share a scale and a zero."""
_ROWS: Final = 16
"""The int4 kernel wants a multiple of so many outputs."""

_LENGTH: Final = 1000
"""Of a convolution's input, where one has to be named; longer than any kernel's reach."""

Parts = Mapping[str, Tensor]
"""A layer's weight as plain tensors, without its bias."""


class Projection(TypedModule):
    """An affine map with GPT-2's weight layout, `[inputs, outputs]`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`[positions, inputs]` to `[positions, outputs]`."""
        return torch.addmm(self.bias, x, self.weight)


class Bf16Linear(TypedModule):
    """`[…, inputs]` to `[…, outputs]`; on a CPU with the weight in the order that oneDNN likes best."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, parts: Parts, bias: Tensor | None) -> None:
        super().__init__()
        weight = parts["weight"]
        self.packed = weight.device.type == "cpu" and _packed_bf16_works()
        if self.packed:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, None)  # noqa: SLF001
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.raw = False
        """Whether it gives bfloat16, where what comes next takes that."""

    @staticmethod
    def parts(weight: Tensor) -> dict[str, Tensor]:
        """The weight `[outputs, inputs]`, rounded."""
        return {"weight": weight.to(torch.bfloat16, memory_format=torch.contiguous_format)}

    def forward(self, x: Tensor) -> Tensor:
        """Float32 in and, unless it is `raw`, out; where the weight is packed, the sum is rounded bias and all."""
        x = x.bfloat16()
        if self.packed:
            y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")  # noqa: SLF001
        else:
            y = F.linear(x, self.weight)
            y = y if self.bias is None else self.bias + y
        return y.bfloat16() if self.raw else y.float()


class Int8Linear(TypedModule):
    """`[…, inputs]` to `[…, outputs]` in 8 bits."""

    def __init__(self, parts: Parts, bias: Tensor | None) -> None:
        super().__init__()
        codes, scales = parts["codes"], parts["scales"]
        with int8_packing():
            weight = torch._make_per_channel_quantized_tensor(codes, scales, torch.zeros_like(scales).long(), 0)  # noqa: SLF001
            self.packed = torch.ops.quantized.linear_prepack(weight, bias)
        self.bias = bias
        self.reduced = _int8_saturates()

    @staticmethod
    def parts(weight: Tensor) -> dict[str, Tensor]:
        """`codes` int8 `[outputs, inputs]` and `scales` float32 `[outputs]`: weight ≈ codes · scales."""
        scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny * 127) / 127
        codes = (weight / scales[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        return {"codes": codes.contiguous(), "scales": scales}

    def forward(self, x: Tensor) -> Tensor:
        """Float32 in and out."""
        rows = x.reshape(-1, x.shape[-1])
        y = self._product(rows) if len(rows) == 1 else self._products(rows)
        return y.view(*x.shape[:-1], -1)

    def _product(self, rows: Tensor) -> Tensor:
        y: Tensor = torch.ops.quantized.linear_dynamic(rows, self.packed, self.reduced)
        return y

    def _products(self, rows: Tensor) -> Tensor:
        """The kernel has one scale for all rows of a call, so they are brought to the same size first."""
        sizes = rows.abs().amax(1, keepdim=True).clamp_min_(torch.finfo(torch.float32).tiny)
        y = self._product(rows / sizes)
        # The kernel has added the bias, to what lacks the size: the result lies `size` times as far from the bias.
        return y.mul_(sizes) if self.bias is None else torch.lerp(self.bias, y, sizes)


class Int4Linear(TypedModule):
    """`[…, inputs]` to `[…, outputs]`, weights in 4 bits, inputs in bfloat16."""

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
        """Float32 in and out; the bias is added in float32."""
        rows = F.pad(x, (0, self.inputs - x.shape[-1])).reshape(-1, self.inputs).bfloat16()
        y = torch._weight_int4pack_mm_for_cpu(rows, self.codes, GROUP, self.scales)  # noqa: SLF001
        y = y[:, : self.outputs].view(*x.shape[:-1], self.outputs)
        return y.float() if self.bias is None else self.bias + y


def int4_codes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of 16 evenly spaced values for each weight of `[outputs, inputs]`, inputs a multiple of 32.

    Codes int32 0 to 15 in the weight's shape, and `[groups, outputs, 2]`, exact in bfloat16: scale and zero
    of `(code - 8) · scale + zero`. The scale is as small as it can be for every weight to be within half a
    scale of its value.
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
    """A one-dimensional convolution with the padding, stride, dilation and groups of `like`.

    On a CPU with the weight in the order that oneDNN likes best, which it otherwise seeks for every call.
    """

    def __init__(self, like: nn.Conv1d) -> None:
        super().__init__()
        self.weight, self.bias = like.weight.detach().bfloat16(), like.bias
        (stride,), (dilation,) = like.stride, like.dilation
        self.like: tuple[Any, ...] = like.stride, like.padding, like.dilation, like.groups
        padding = 0 if isinstance(like.padding, str) else like.padding[0]
        self.flat: tuple[Any, ...] = [0, padding], [1, stride], [1, dilation], like.groups
        self.packed = not isinstance(like.padding, str) and self.weight.device.type == "cpu" and _packed_bf16_works()
        if self.packed:
            flat = self.weight[:, :, None].to_mkldnn()
            # It wants the shape of an input too, which makes no difference to a kernel of one row.
            shape = [1, like.in_channels, 1, _LENGTH]
            self.weight = torch._C._nn.mkldnn_reorder_conv2d_weight(flat, *self.flat, shape)  # type: ignore[call-arg]  # noqa: SLF001

    def forward(self, x: Tensor) -> Tensor:
        """Float32 `[batch, channels, n]` in and out; the bias is added in float32."""
        x = x.bfloat16()
        if self.packed:
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
                x[:, :, None], self.weight, self.bias, *self.flat, "none", [], ""
            )[:, :, 0]
            return y.float()
        y = F.conv1d(x, self.weight, None, *self.like)
        return y.float() if self.bias is None else self.bias[:, None] + y


@cache
def int8_engine() -> str | None:
    """The part of torch that multiplies int8, if any.

    fbgemm is the fastest on x86; qnnpack, which nobody tried, is what there is on ARM.
    """
    there = torch.backends.quantized.supported_engines
    return next((name for name in ("fbgemm", "qnnpack") if name in there), None)


@contextmanager
def int8_packing() -> Iterator[None]:
    """What is packed inside is packed for our engine; torch's choice, which is global, is put back."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = int8_engine() or before
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


@cache
def _int8_saturates() -> bool:
    """Whether products of 8 by 8 bits overflow, as without VNNI: inputs then get 7 bits.

    Asked of the largest product there is.
    """
    ones, largest = torch.ones(16), torch.full((16, 64), 127, dtype=torch.int8)
    weight = torch._make_per_channel_quantized_tensor(largest, ones, torch.zeros(16, dtype=torch.long), 0)  # noqa: SLF001
    with int8_packing():
        packed = torch.ops.quantized.linear_prepack(weight, None)
    product = torch.ops.quantized.linear_dynamic(torch.full((1, 64), 255.0), packed, False)
    return bool((product != 127 * 255 * 64).any())


@cache
def int4_works() -> bool:
    """Whether this torch has a kernel for int4 that computes here."""
    try:
        layer = Int4Linear(Int4Linear.parts(torch.ones(_ROWS, GROUP)), None)
        return bool(layer(torch.ones(1, GROUP)).eq(GROUP).all())
    except (AttributeError, RuntimeError):  # another version of torch, or a CPU it has no kernel for
        return False


@cache
def _packed_bf16_works() -> bool:
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(torch.ones(16, 32, dtype=torch.bfloat16), None)  # noqa: SLF001
        product = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            torch.ones(1, 32, dtype=torch.bfloat16), weight, torch.ones(16), "none", [], ""
        )
        kernel, way = torch.ones(16, 16, 1, 3, dtype=torch.bfloat16).to_mkldnn(), ([0, 0], [1, 1], [1, 1], 1)
        kernel = torch._C._nn.mkldnn_reorder_conv2d_weight(kernel, *way, [1, 16, 1, _LENGTH])  # type: ignore[call-arg]  # noqa: SLF001
        sound = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
            torch.ones(1, 16, 1, 8, dtype=torch.bfloat16), kernel, torch.ones(16), *way, "none", [], ""
        )
        return bool(product.eq(33).all()) and bool(sound.eq(49).all())
    except (AttributeError, RuntimeError):
        return False
