"""Options, each declared once: as a field of a dataclass whose annotation says what it takes.

    @dataclass(frozen=True, slots=True)
    class MyOptions(SpeakOptions):
        warmth: Annotated[float, Option("How warm it sounds.", minimum=0, maximum=1)] = 0.5

From this declaration come the checks (`check`), the command line's options with their help (`cli.options`) and the
keyword arguments of the Python API (`make`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tts_cli.checks import instance, number, one_of, whole

Mode = Literal["streaming", "simple"]
MAX_CHUNK: Final = 1000
"""Speech tokens in the largest chunk: 40 s of sound."""
MAX_SEED: Final = 2**63 - 1
"""The largest seed that every generator here takes."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Option:
    """What a field takes, and how the command line describes it.

    Parameters
    ----------
    help
        One sentence for `--help`.
    minimum, maximum
        The smallest and the largest number that is allowed; None for no bound.
    choices
        The words that are allowed, where the field is one of some words.
    none
        How None is written on the command line; empty where leaving the option out is the only way.
    milliseconds
        Whether the command line takes milliseconds for what is seconds here.
    measuring
        Whether only `tts bench` offers it.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    none: str = ""
    milliseconds: bool = False
    measuring: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """An option as a dataclass declares it."""

    name: str
    kind: type
    """`bool`, `int`, `float`, `str` or `Path`."""
    optional: bool
    """Whether None is allowed."""
    default: Any
    option: Option
    group: str
    """The field that holds the dataclass it belongs to; empty where that is the outermost one."""


_KNOWN: dict[type, Mapping[str, Declared]] = {}


def declared(kind: type) -> Mapping[str, Declared]:
    """The options that the dataclass `kind` declares, by name, those of dataclasses inside it included."""
    if kind not in _KNOWN:
        _KNOWN[kind] = _read(kind)
    return _KNOWN[kind]


def _read(kind: type) -> Mapping[str, Declared]:
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, Declared] = {}
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint) and isinstance(hint, type):
            for inner in declared(hint).values():
                found[inner.name] = Declared(
                    inner.name, inner.kind, inner.optional, inner.default, inner.option, field.name
                )
        elif get_origin(hint) is Annotated:
            values, option = hint.__origin__, next(each for each in hint.__metadata__ if isinstance(each, Option))
            kinds = [each for each in _members(values) if each is not type(None)]
            optional = len(kinds) < len(_members(values))
            found[field.name] = Declared(field.name, kinds[0], optional, field.default, option, "")
    return found


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def make(kind: type[Made], values: Mapping[str, object]) -> Made:
    """A `kind` with `values` by the names of its options, wherever inside it they belong; the rest by default.

    Raises
    ------
    UsageError
        For a value that is not allowed. A name that is not declared is a `KeyError`: ask `declared` first.
    """
    own: dict[str, object] = {}
    inner: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        group = declared(kind)[name].group
        if group:
            inner.setdefault(group, {})[name] = value
        else:
            own[name] = value
    hints = get_type_hints(kind)
    own.update({group: make(hints[group], found) for group, found in inner.items()})
    return kind(**own)


def values(options: object) -> dict[str, object]:
    """What `options`, a dataclass, holds: the values by the names of their options, as `make` takes them."""
    known = declared(type(options)).values()
    return {each.name: getattr(getattr(options, each.group) if each.group else options, each.name) for each in known}


def check(options: object) -> None:
    """Raise `UsageError` where a field of `options`, a dataclass, holds what its declaration does not allow."""
    for known in declared(type(options)).values():
        if not known.group:
            _check(known, getattr(options, known.name))


def _check(known: Declared, value: object) -> None:
    option, name = known.option, known.name
    if value is None and known.optional:
        return
    if option.choices:
        one_of(name, value, option.choices)
    elif known.kind in (int, float):
        least = -math.inf if option.minimum is None else option.minimum
        most = math.inf if option.maximum is None else option.maximum
        (whole if known.kind is int else number)(name, value, least, most)
    else:
        words = {bool: "True or False", str: "a str", Path: "a Path"}[known.kind]
        instance(name, value, known.kind, f"{words} or None" if known.optional else words)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is told once, when it loads. An engine that has settings derives its own class."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """How one utterance is to be spoken. An engine that has more options derives its own class."""

    chunk: Annotated[
        int | None,
        Option(
            "Speech tokens (40 ms of sound each) decoded at a time; auto: few at first, then as many as the sound in "
            "hand leaves time for.",
            minimum=1,
            maximum=MAX_CHUNK,
            none="auto",
        ),
    ] = 10
    mode: Annotated[Mode, Option("simple computes everything before the first sound.", choices=get_args(Mode))] = (
        "streaming"
    )
    seed: Annotated[int, Option("Fixes everything that is random.", minimum=0, maximum=MAX_SEED)] = 0
    speed: Annotated[float, Option("How fast to speak; 1 is the voice's own pace.", minimum=0.5, maximum=2)] = 1.0
    pause: Annotated[
        float, Option("Silence after a sentence, in milliseconds.", minimum=0, maximum=10, milliseconds=True)
    ] = 0.35
    """Shaped by the engine: after a clause it is shorter, after a paragraph longer."""

    def __post_init__(self) -> None:
        check(self)
