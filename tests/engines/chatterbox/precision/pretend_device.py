"""Tensors that say they lie on a GPU, and compute on the CPU what the GPU would be asked for.

torch's `FakeTensorMode` cannot stand in for a device that torch does not find here: a tensor that is moved there or
sliced there is an error of its own. Nor does it compute anything, where our code draws a token from numbers. So here is
a mode of our own: inside it, a tensor made on or moved to the device is an `Elsewhere`, which holds its numbers on the
CPU. Every operator on such tensors is written down, a tensor of the CPU that meets one is an error as it would be in
truth, and what comes back to the CPU is a plain tensor with true numbers.

Operators made of others are taken apart, as torch does it for a device; but for attention, of which each device has a
kernel of its own.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
ATTENTION = {"mps": ["_scaled_dot_product_attention_math_for_mps"], "cuda": ["_scaled_dot_product_attention_math"]}
"""What `scaled_dot_product_attention` becomes; on CUDA it may be faster than that, but is that at least."""
HANDED_OVER = "_local_scalar_dense"
"""A number read by the program: the device has to finish all it was asked for before that."""


_begin_cuda = torch.cuda._lazy_init
_cuda_there = torch.cuda.is_available()


class MixedDevicesError(RuntimeError):
    """What torch says of tensors on two devices."""


class Elsewhere(Tensor):
    """A tensor that lies on another device, to all that can be asked in Python. torch's C++ takes it for the CPU's."""

    held: Tensor
    pretended: PretendDevice

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # bound by torch itself

    @staticmethod
    def __new__(cls, held: Tensor, pretended: PretendDevice) -> Elsewhere:
        made: Elsewhere = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype
        )
        made.held, made.pretended = held, pretended
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.pretended.device

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return self.pretended.device.type == "cuda"

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Elsewhere({self.pretended.device}, {list(self.shape)})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it as the function that turns it off
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        found = (each for each in _leaves((*args, *kwargs.values())) if isinstance(each, Elsewhere))
        return next(found).pretended.compute(func, args, kwargs)


class PretendDevice(TorchDispatchMode):
    """To be entered as a context, within `torch.inference_mode`, by the one thread that computes."""

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = torch.device(device)
        self.operators: Counter[str] = Counter()
        """How often each was computed on the device."""
        self.fetched: Counter[str] = Counter()
        """Which functions of ours brought tensors to the CPU, for each of which the program waits for the device."""
        self.types: set[torch.dtype] = set()
        """Those of all tensors that lay there."""
        self._depth = 0

    def __enter__(self) -> PretendDevice:
        self._depth += 1
        _move_in_sight(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)  # type: ignore[no-untyped-call]
        self._depth -= 1
        _move_in_sight(self._depth > 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.compute(func, args, kwargs or {})

    def compute(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What `func` gives, on the device where a tensor lies there or the result is to lie there."""
        given = list(_leaves((*args, *kwargs.values())))
        here = [each for each in given if isinstance(each, Elsewhere)]
        if not here and not any(self._meant(each) for each in given if isinstance(each, torch.device)):
            return func(*args, **kwargs)
        if func._schema.name in ("aten::to", "aten::_to_copy"):
            return self._moved(func, *args, **kwargs)
        if func is aten.scaled_dot_product_attention.default:
            self.operators.update(ATTENTION[self.device.type])
        elif _made_of_others(func):
            with self:
                return func.decompose(*args, **kwargs)
        else:
            self.operators[_name(func)] += 1
        self._check(func, given)
        plain = {name: _mapped(_inner, value) for name, value in kwargs.items()}
        if kwargs.get("device") is not None:
            plain["device"] = "cpu"
        result = func(*_mapped(_inner, args), **plain)
        known = {id(each.held): each for each in here}
        return _mapped(lambda each: self._there(each, known), result)

    def _moved(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """`tensor.to(…)`, in any of its forms."""
        given = {
            argument.name: value for argument, value in zip(func._schema.arguments[1:], args, strict=False)
        } | kwargs
        here = isinstance(tensor, Elsewhere)
        target = given.get("device") or tensor.device
        plain = tensor.held if isinstance(tensor, Elsewhere) else tensor
        result = plain.to(
            given.get("dtype") or plain.dtype, copy=here != self._meant(target) or given.get("copy", False)
        )
        if result is plain:
            return tensor
        self.operators["_to_copy"] += 1
        if here and not self._meant(target):
            self.fetched[_our_function()] += 1
        return self._there(result, {}) if self._meant(target) else result

    def _meant(self, device: Any) -> bool:
        return device is not None and torch.device(device).type == self.device.type

    def _there(self, value: Any, known: dict[int, Elsewhere]) -> Any:
        if not isinstance(value, Tensor):
            return value
        self.types.add(value.dtype)
        return known[id(value)] if id(value) in known else Elsewhere(value, self)

    def _check(self, func: Any, given: list[Any]) -> None:
        for each in given:
            plain = isinstance(each, Tensor) and not isinstance(each, Elsewhere)
            if plain and each.dim() and func is not aten.copy_.default:
                raise MixedDevicesError(f"{func}: a tensor {list(each.shape)} of the CPU meets one of {self.device}")


def _move_in_sight(wanted: bool) -> None:
    """Have what torch moves in one go with something else moved where a mode can see it."""
    torch._C._set_only_lift_cpu_tensors(wanted)  # by `torch.tensor(…, device=…)`
    torch.__future__.set_overwrite_module_params_on_conversion(wanted)  # by `Module.to`
    if not _cuda_there:  # every call that names CUDA begins it first
        torch.cuda._lazy_init = (lambda: None) if wanted else _begin_cuda


@cache
def _made_of_others(func: Any) -> bool:
    return bool(func._can_decompose())


@cache
def _name(func: Any) -> str:
    """`add.Tensor`, `mish`."""
    overload = "" if func._overloadname == "default" else f".{func._overloadname}"
    return f"{func._schema.name.partition('::')[2]}{overload}"


def _our_function() -> str:
    """The innermost one of the package that is being called, with its module: `t3.tokens`; "" in a test."""
    frame = inspect.currentframe()
    while frame is not None and not frame.f_globals.get("__name__", "").startswith("tts_cli."):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_globals['__name__'].rpartition('.')[2]}.{frame.f_code.co_name}"


def _inner(value: Any) -> Any:
    return value.held if isinstance(value, Elsewhere) else value


def _leaves(value: Any) -> Iterator[Any]:
    """What lists and tuples hold, inside each other."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """`value`, a list or a tuple of things or such lists, with each thing changed."""
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, each) for each in value)
    return change(value)
