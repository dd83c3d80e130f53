"""Which operators of torch have a kernel on which device, by the table that torch's wheel carries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ANYWHERE = {"CompositeImplicitAutograd", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional"}
"""What is made of other operators."""


@cache
def kernels() -> dict[str, set[str]]:
    """The dispatch keys with a kernel, for each operator by its name and overload: `add.Tensor`, `mish`."""
    entries = {entry["func"].partition("(")[0]: entry for entry in _table()}
    found = {name: _keys(entry, entries) for name, entry in entries.items()}
    for entry in entries.values():
        for made in entry.get("autogen", "").split(","):
            found.setdefault(made.strip(), {"CompositeExplicitAutograd"})
    return found


def missing(operator: str, device: str) -> bool:
    """Whether torch has no kernel for `operator` on `device`, such as `mps`. An unknown operator has none.

    What is made of others inside torch, where no mode sees it, as `polar` is of `polar.out`, is as good as that.
    """
    keys = kernels().get(operator, set())
    if device.upper() in keys:
        return False
    written = f"{operator.partition('.')[0]}.out"
    return not keys & ANYWHERE or (written in kernels() and written != operator and missing(written, device))


def _table() -> list[dict[str, Any]]:
    import torchgen
    import yaml

    path = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
    table: list[dict[str, Any]] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return table


def _keys(entry: dict[str, Any], entries: dict[str, dict[str, Any]]) -> set[str]:
    delegate = entry.get("structured_delegate")
    if delegate is not None:  # of a functional or in-place form to the one that writes into `out`
        return _keys(entries[delegate], entries)
    keys = set(_split(entry["dispatch"])) if "dispatch" in entry else {"CompositeImplicitAutograd"}
    return keys | {"CPU", "CUDA"} if "ufunc_inner_loop" in entry else keys


def _split(dispatch: dict[str, str]) -> Iterator[str]:
    for keys in dispatch:
        yield from (key.strip() for key in keys.split(","))
