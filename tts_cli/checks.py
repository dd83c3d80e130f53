"""Checks of values that a caller gives. An error says which value is wrong and which are allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tts_cli.errors import UsageError


def whole(name: str, value: object, least: float, most: float) -> None:
    """Check a whole number.

    Parameters
    ----------
    name
        What the message calls the value.
    value
        The value to check.
    least, most
        The bounds; both are allowed. They may be infinite.

    Raises
    ------
    UsageError
        If `value` is not a whole number from `least` to `most`.

    Examples
    --------
    >>> whole("seed", -1, 0, math.inf)
    Traceback (most recent call last):
    tts_cli.errors.UsageError: seed cannot be -1; choose a whole number, 0 or more
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _refused(name, value, f"a whole number{_range(least, most)}")


def number(name: str, value: object, least: float, most: float) -> None:
    """Check a number.

    Parameters
    ----------
    name
        What the message calls the value.
    value
        The value to check.
    least, most
        The bounds; both are allowed. They may be infinite.

    Raises
    ------
    UsageError
        If `value` is not a finite number from `least` to `most`.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= float(value) <= most:  # type: ignore[arg-type]
        raise _refused(name, value, f"a number{_range(least, most)}")


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """Check a word.

    Parameters
    ----------
    name
        What the message calls the value.
    value
        The value to check.
    choices
        The words that are allowed.

    Raises
    ------
    UsageError
        If `value` is not one of them.

    Examples
    --------
    >>> one_of("mode", "fast", ("streaming", "simple"))
    Traceback (most recent call last):
    tts_cli.errors.UsageError: mode cannot be 'fast'; choose one of: streaming, simple
    """
    if value not in choices:
        raise _refused(name, value, f"one of: {', '.join(choices)}")


def instance(name: str, value: object, kind: type | tuple[type, ...], words: str) -> None:
    """Check the type of a value.

    Parameters
    ----------
    name
        What the message calls the value.
    value
        The value to check.
    kind
        The type or types that are allowed.
    words
        What the message calls `kind`.

    Raises
    ------
    UsageError
        If `value` is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        raise _refused(name, value, words)


def read_whole(text: str) -> int | None:
    """The whole number that `text` is, or None if it is not 1 to 18 of the digits 0 to 9.

    `int` is not used alone because it accepts digits such as `٣` and raises for thousands of digits.

    Examples
    --------
    >>> read_whole("24"), read_whole("2.4")
    (24, None)
    """
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _refused(name: str, value: object, allowed: str) -> UsageError:
    shown = repr(value) if _is_short(value) else "so long a value"
    return UsageError(f"{name} cannot be {shown}", f"choose {allowed}")


def _is_short(value: object) -> bool:
    """Whether `value` fits in a line. Python does not convert integers of thousands of digits to text at all."""
    return abs(value) < 10**40 if isinstance(value, int) else len(repr(value)) <= 60


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return "" if math.isinf(least) else f", {_shown(least)} or more"
    return f" from {_shown(least)} to {_shown(most)}"


def _shown(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
