"""Each layer against float32, within the error that its numbers allow."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.precision.quantised_layers import (
    GROUP,
    Bf16Conv1d,
    Bf16Linear,
    Int4Linear,
    Int8Linear,
    Projection,
    int4_codes,
)
from tts_cli.engines.chatterbox.weights.config import SPEECH_IDS

KINDS: dict[str, type[Bf16Linear | Int8Linear | Int4Linear]] = {
    "bf16": Bf16Linear,
    "int8": Int8Linear,
    "int4": Int4Linear,
}
# Relative error of a sum of products of normal numbers: 2^-9 uniform for bf16 inputs and weights, and again for the
# output; a 127th and a 255th of the range for int8; a 15th of the range of 32 for int4.
RELATIVE = {"bf16": 0.004, "int8": 0.02, "int4": 0.1}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(96, 160), (64, SPEECH_IDS), (40, 24), (1024, 64)], ids=str)
@pytest.mark.parametrize("rows", [(), (1,), (7,), (300,), (1, 7), (2, 5)], ids=str)
def test_a_linear_layer_is_close_to_float32(kind: str, sizes: tuple[int, int], rows: tuple[int, ...]) -> None:
    inputs, outputs = sizes
    weight, bias, x = noise(outputs, inputs), noise(outputs, seed=1), noise(*rows, inputs, seed=2)
    layer = KINDS[kind](KINDS[kind].parts(weight), bias)
    found = layer(x)
    assert found.dtype == torch.float32
    assert found.shape == (*rows, outputs)
    assert 0 < relative(found, F.linear(x, weight, bias)) < RELATIVE[kind]
    without = KINDS[kind](KINDS[kind].parts(weight), None)
    # A bf16 layer rounds the sum, bias and all, to bf16; the others add the bias in float32.
    rtol, atol = (2**-7, 2**-6) if kind == "bf16" else (0.0, 1e-4)
    torch.testing.assert_close(without(x) + bias, found, rtol=rtol, atol=atol)


@pytest.mark.parametrize("biased", [True, False])
def test_a_loud_row_leaves_the_others_as_exact_as_they_are_alone(biased: bool) -> None:
    weight, bias, x = noise(96, 160), noise(96, seed=1) if biased else None, noise(40, 160, seed=2)
    x[3] *= 30
    x[7] = 0
    layer = Int8Linear(Int8Linear.parts(weight), bias)
    found, expected = layer(x), F.linear(x, weight, bias)
    torch.testing.assert_close(found[7], expected[7], rtol=1e-6, atol=0)
    for index in (*range(7), *range(8, 40)):
        alone = relative(layer(x[index]), expected[index])
        assert relative(found[index], expected[index]) < 2 * alone + 0.005


@given(
    seed=st.integers(0, 10**6),
    inputs=st.sampled_from([16, 40, 64, 256, 1024]),
    rows=st.integers(1, 20),
    magnitude=st.floats(-12, 12),
    shift=st.floats(-3, 3),
    biased=st.booleans(),
)
@settings(max_examples=100)
def test_int8_gives_the_same_bits_before_and_after_it_is_packed(
    seed: int, inputs: int, rows: int, magnitude: float, shift: float, biased: bool
) -> None:
    bias = noise(33, seed=seed + 1) if biased else None
    layer = Int8Linear(Int8Linear.parts(noise(33, inputs, seed=seed)), bias)
    x = (noise(rows, inputs, seed=seed + 2) + shift) * 2.0**magnitude
    before = layer(x)
    layer.pack()
    assert layer.codes is None
    assert torch.equal(layer(x), before)


def test_int8_is_packed_at_once_where_the_processor_computes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, x = Int8Linear.parts(noise(33, 64)), noise(5, 64, seed=2)
    usual = Int8Linear(parts, None)(x)
    monkeypatch.setattr("tts_cli.engines.chatterbox.precision.quantised_layers.codes_compute_the_same", lambda: False)
    layer = Int8Linear(parts, None)
    assert layer.codes is None
    assert torch.equal(layer(x), usual)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_fit_are_exact(kind: str) -> None:
    """Inputs of ones are exact in every format, so what is left is the weights' error."""
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(-8, 8, (48, 64), generator=generator)
    codes[:, 0::GROUP] = -8
    codes[:, 1::GROUP] = 7
    if kind == "int8":
        codes[:, 0] = 127
    weight = codes * 0.25
    layer = KINDS[kind](KINDS[kind].parts(weight), None)
    eye = 255 * torch.eye(64) if kind == "int8" else torch.eye(64)  # 0 and 255 are exact in 8 bits
    found = torch.cat([layer(row[None]) for row in eye])
    torch.testing.assert_close(found, eye @ weight.T, rtol=1e-6, atol=0)


@given(
    st.integers(0, 10**6),
    st.floats(-12, 6),
    st.floats(-3, 3),
    st.sampled_from(["normal", "spiky", "constant", "positive"]),
)
@settings(max_examples=100)
def test_a_quantised_weight_is_within_half_a_step(seed: int, magnitude: float, shift: float, kind: str) -> None:
    weight = noise(16, 2 * GROUP, seed=seed)
    weight = {
        "normal": weight,
        "spiky": weight**5,
        "constant": torch.full_like(weight, shift),
        "positive": weight.abs() + shift,
    }[kind] * 2.0**magnitude
    parts = Int8Linear.parts(weight)
    scales = parts["scales"][:, None]
    assert ((parts["codes"] * scales - weight).abs() <= scales * 0.50001).all()

    codes, scales_and_zeros = int4_codes(weight)
    assert codes.min() >= 0
    assert codes.max() <= 15
    assert torch.equal(scales_and_zeros.bfloat16().float(), scales_and_zeros)
    scale, zero = scales_and_zeros.transpose(0, 1).unbind(-1)
    restored = (codes.view(16, -1, GROUP) - 8) * scale[..., None] + zero[..., None]
    error = (restored - weight.view(16, -1, GROUP)).abs()
    assert (error <= scale[..., None] * 0.5001 + weight.abs().max() * 1e-6).all()


def test_an_int4_step_is_not_larger_than_the_range_asks() -> None:
    weight = noise(64, 4 * GROUP)
    scale = int4_codes(weight)[1].transpose(0, 1)[..., 0]
    grouped = weight.view(64, -1, GROUP)
    assert (scale * 15 <= (grouped.amax(-1) - grouped.amin(-1)) * 1.04).all()


def test_a_row_of_zeros_stays_zeros() -> None:
    for layer in KINDS.values():
        assert torch.equal(layer(layer.parts(torch.zeros(16, 32)), None)(noise(3, 32)), torch.zeros(3, 16))


@pytest.mark.parametrize(
    ("channels", "options"),
    [
        ((8, 12), {}),
        ((8, 8), {"padding": 3, "dilation": 3}),
        ((16, 8), {"stride": 2, "padding": 1}),
        ((8, 8), {"groups": 4}),
        ((8, 8), {"bias": False}),
    ],
    ids=str,
)
def test_a_convolution_is_close_to_float32(channels: tuple[int, int], options: dict[str, int]) -> None:
    convolution = nn.Conv1d(*channels, 3, **options).requires_grad_(False)  # type: ignore[arg-type]
    convolution.weight.copy_(noise(*convolution.weight.shape))
    x = noise(2, channels[0], 50, seed=1)
    expected, found = convolution(x), Bf16Conv1d(convolution)(x)
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    assert 0 < relative(found, expected) < 0.005


class Odd(nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Named(nn.Conv1d):
    weight_normed = True


def network() -> nn.Module:
    inner = nn.ModuleDict({"0": nn.Linear(32, 48), "norm": nn.LayerNorm(48)})
    stack = nn.ModuleList(
        [Projection(48, 16), Odd(4, 4, 1), Named(4, 4, 1), nn.Conv1d(4, 4, 1), nn.Linear(2, 2, False)]
    )
    module = nn.ModuleDict({"inner": inner, "stack": stack}).requires_grad_(False).eval()
    for index, weight in enumerate(module.parameters()):
        weight.copy_(noise(*weight.shape, seed=index))
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_replaced_in_place_and_nothing_else(kind: str) -> None:
    module, before = network(), network()
    convert(module, kind)
    for name in ("inner.0", "stack.0", "stack.4"):
        layer, old = module.get_submodule(name), before.get_submodule(name)
        assert type(layer) is KINDS[kind]
        x = noise(5, {"inner.0": 32, "stack.0": 48, "stack.4": 2}[name], seed=9)
        assert relative(layer(x), old(x)) < 2 * RELATIVE[kind]
    changed = Bf16Conv1d if kind == "bf16" else None
    assert type(module.get_submodule("stack.1")) is Odd
    assert type(module.get_submodule("stack.2")) is (changed or Named)
    assert type(module.get_submodule("stack.3")) is (changed or nn.Conv1d)
    assert type(module.get_submodule("inner.norm")) is nn.LayerNorm


def test_fp32_replaces_nothing() -> None:
    module = network()
    children = dict(module.named_modules())
    convert(module, "fp32")
    assert dict(module.named_modules()) == children


def test_torchs_engine_for_int8_is_put_back() -> None:
    before = torch.backends.quantized.engine
    convert(network(), "int8")
    assert torch.backends.quantized.engine == before
