"""What a caller hands over, checked: one line says which value is wrong, and what is allowed in its place."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tts_cli.errors import UsageError


def whole(name: str, value: object, least: float, most: float) -> None:
    """Raise `UsageError` unless `value` is a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _refused(name, value, f"a whole number{_range(least, most)}")


def number(name: str, value: object, least: float, most: float) -> None:
    """Raise `UsageError` unless `value` is a finite number from `least` to `most`."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= float(value) <= most:  # type: ignore[arg-type]
        raise _refused(name, value, f"a number{_range(least, most)}")


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `UsageError` unless `value` is one of the words `choices`."""
    if value not in choices:
        raise _refused(name, value, f"one of: {', '.join(choices)}")


def instance(name: str, value: object, kind: type | tuple[type, ...], words: str) -> None:
    """Raise `UsageError` unless `value` is of that kind, which is called `words`."""
    if not isinstance(value, kind):
        raise _refused(name, value, words)


def read_whole(text: str) -> int | None:
    """The whole number that `text` writes in decimal digits; None for anything else.

    Nothing longer than 18 digits is one: `int` would refuse thousands of them, and accept digits such as `٣`.
    """
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _refused(name: str, value: object, allowed: str) -> UsageError:
    shown = repr(value) if _is_short(value) else "so long a value"
    return UsageError(f"{name} cannot be {shown}", f"choose {allowed}")


def _is_short(value: object) -> bool:
    """Whether it can be shown in a line. Python refuses to write out integers of thousands of digits at all."""
    return abs(value) < 10**40 if isinstance(value, int) else len(repr(value)) <= 60


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return "" if math.isinf(least) else f", {_shown(least)} or more"
    return f" from {_shown(least)} to {_shown(most)}"


def _shown(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
