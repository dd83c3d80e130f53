"""Declarations of options. Each option is a field of a dataclass, and its annotation says which values it takes.

    @dataclass(frozen=True, slots=True)
    class MyOptions(SpeakOptions):
        warmth: Annotated[float, Option("How warm it sounds.", minimum=0, maximum=1)] = 0.5

The checks (`check`), the command line's options with their help (`cli.options`) and the keyword arguments of the Python
API (`make`) are all made from this declaration.
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
MAX_PAUSE: Final = 10.0
"""Seconds."""
MAX_SEED: Final = 2**63 - 1
"""The largest seed that all random generators here accept."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Option:
    """The values that a field takes, and how the command line describes it.

    Parameters
    ----------
    help
        One sentence for `--help`.
    minimum, maximum
        The smallest and the largest number that is allowed; None for no bound.
    choices
        The words that are allowed; empty if the field is not one of a few words.
    none
        The word for None on the command line; empty if None cannot be written there.
    milliseconds
        Whether the command line takes milliseconds for a field in seconds.
    measuring
        Whether only `tts bench` offers the option.
    variable
        The environment variable that the engine reads if the option is not given; empty if there is none.

    Examples
    --------
    >>> declared(SpeakOptions)["seed"].option.minimum
    0
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    none: str = ""
    milliseconds: bool = False
    measuring: bool = False
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared option."""

    name: str
    kind: type
    """`bool`, `int`, `float`, `str` or `Path`."""
    optional: bool
    """Whether None is allowed."""
    default: Any
    option: Option
    group: str
    """The field with the inner dataclass that declares it; empty if the outermost dataclass does."""


_KNOWN: dict[type, Mapping[str, Declared]] = {}


def declared(kind: type) -> Mapping[str, Declared]:
    """The options that the dataclass `kind` declares, by name, those of inner dataclasses included."""
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
    """Make an instance of an options class.

    Parameters
    ----------
    kind
        The dataclass.
    values
        Values by the names of options, those of inner dataclasses included. All others have their defaults.

    Raises
    ------
    UsageError
        If a value is not allowed.
    KeyError
        If a name is not declared.

    Examples
    --------
    >>> make(SpeakOptions, {"chunk": 5}).chunk
    5
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
    """The values of an instance, by the names of their options, as `make` takes them."""
    known = declared(type(options)).values()
    return {each.name: getattr(getattr(options, each.group) if each.group else options, each.name) for each in known}


def check(options: object) -> None:
    """Raise `UsageError` if a field of `options`, a dataclass, has a value that its declaration does not allow."""
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
    """Settings of an engine, which it gets when it loads. An engine with settings derives a class of its own.

    Raises
    ------
    UsageError
        If a value is not allowed.
    """

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """How to speak one utterance. An engine with more options derives a class of its own.

    Parameters
    ----------
    chunk
        Speech tokens, of 40 ms of sound each, in a chunk; None lets the engine choose.
    mode
        `streaming`, or `simple` to compute everything before the first chunk is given.
    seed
        Fixes everything that is random.
    speed
        How fast to speak; 1 is the voice's own pace.
    pause
        Seconds of silence after a sentence.
    volume
        How much louder the sound becomes, in dB; negative: quieter. Applied after the engine, as is `normalize`.
    normalize
        Whether to bring speech to −16 LUFS before that.

    Raises
    ------
    UsageError
        If a value is not allowed.

    Examples
    --------
    >>> SpeakOptions(chunk=25).seed
    0
    """

    chunk: Annotated[
        int | None,
        Option(
            "Speech tokens (40 ms of sound each) decoded at a time; auto: few at first, more later.",
            minimum=1,
            maximum=MAX_CHUNK,
            none="auto",
        ),
    ] = None
    mode: Annotated[Mode, Option("simple computes everything before the first sound.", choices=get_args(Mode))] = (
        "streaming"
    )
    seed: Annotated[int, Option("Fixes everything that is random.", minimum=0, maximum=MAX_SEED)] = 0
    speed: Annotated[float, Option("How fast to speak; 1 is the voice's own pace.", minimum=0.5, maximum=2)] = 1.0
    pause: Annotated[
        float, Option("Silence after a sentence, in milliseconds.", minimum=0, maximum=MAX_PAUSE, milliseconds=True)
    ] = 0.35
    """The engine makes it shorter after a part of a sentence."""
    volume: Annotated[
        float, Option("Louder by so many dB, or quieter if negative; a limiter keeps it from clipping.", -60, 30)
    ] = 0.0
    normalize: Annotated[
        bool, Option("Bring speech to one loudness (-16 LUFS), slowly, by what was spoken so far.")
    ] = False

    def __post_init__(self) -> None:
        check(self)
