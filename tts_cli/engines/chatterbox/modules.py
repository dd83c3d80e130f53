"""torch's modules with typed calls: what a module returns when it is called is what its `forward` returns.

torch declares that a call of a module takes anything and returns `Any`. With these classes, a type checker knows the
arguments and the result of a call from `forward`. At runtime there is no difference: `Linear` is `torch.nn.Linear`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from torch import Tensor, nn

__all__ = ["Conv1d", "ConvTranspose1d", "Embedding", "LayerNorm", "Linear", "Sequential", "TypedModule"]

P = ParamSpec("P")
Result_co = TypeVar("Result_co", covariant=True)


class _HasForward(Protocol[P, Result_co]):
    def forward(self, *args: P.args, **kwargs: P.kwargs) -> Result_co: ...


class TypedModule(nn.Module):
    """The base class of the modules in this package."""

    if TYPE_CHECKING:

        def __call__(self: _HasForward[P, Result_co], *args: P.args, **kwargs: P.kwargs) -> Result_co:
            """As `forward`."""


if TYPE_CHECKING:

    class Conv1d(TypedModule, nn.Conv1d):
        """torch's."""

    class ConvTranspose1d(TypedModule, nn.ConvTranspose1d):
        """torch's."""

    class Embedding(TypedModule, nn.Embedding):
        """torch's."""

    class LayerNorm(TypedModule, nn.LayerNorm):
        """torch's."""

    class Linear(TypedModule, nn.Linear):
        """torch's."""

    class Sequential(TypedModule, nn.Sequential):
        """torch's, for modules that take and return one tensor."""

        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
            """torch's."""

else:
    Conv1d, ConvTranspose1d, Embedding = nn.Conv1d, nn.ConvTranspose1d, nn.Embedding
    LayerNorm, Linear, Sequential = nn.LayerNorm, nn.Linear, nn.Sequential
