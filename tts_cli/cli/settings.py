"""Settings of `tts speak` from the user's `config.toml`: checked against the command's options, and applied.

    chunk = 20                    # each option of `tts speak` by its name
    output-device = "headphones"

    [engines.chatterbox]          # options of one engine, and its voice
    precision = "fp32"

    [voices.qb]                   # options for one voice
    temperature = 0.6

What the command line and the environment say comes first, then the table of the voice, that of the engine, and the
options above all tables.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from typer.models import OptionInfo

from tts_cli.checks import instance, number, one_of, whole
from tts_cli.config import Config
from tts_cli.engines import EngineSpec
from tts_cli.engines.options import Declared
from tts_cli.engines.registry import AUTO, engines, find, split
from tts_cli.errors import TTSError, UsageError
from tts_cli.paths import expanded

TABLES: Final = ("engines", "voices")
_WORDS: Final = {bool: "true or false", str: "text in quotes", Path: "a path in quotes"}
Convert = Callable[[Declared, Any], object]


@dataclass(frozen=True, slots=True)
class Known:
    """An option of `tts speak`, as the command declares it."""

    name: str
    kind: type
    """`bool`, `int`, `float`, `str` or `Path`."""
    choices: tuple[str, ...]
    least: float
    most: float
    numbered: bool
    """Whether it takes text or a number."""
    default: Any
    help: str

    def check(self, value: object) -> None:
        """Raise `UsageError` if the value is not allowed."""
        name = self.name.replace("_", "-")
        if self.choices:
            one_of(name, value, self.choices)
        elif self.kind in (int, float):
            (whole if self.kind is int else number)(name, value, self.least, self.most)
        elif not (self.numbered and isinstance(value, int) and not isinstance(value, bool)):
            words = "a number, or text in quotes" if self.numbered else _WORDS[self.kind]
            instance(name, value, str if self.kind is Path else self.kind, words)


def options_of(command: Callable[..., None]) -> dict[str, Known]:
    """The options of a command, by name."""
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        info = next(iter(getattr(parameter.annotation, "__metadata__", ())), None)
        if isinstance(info, OptionInfo):
            kind, choices = _kind(parameter.annotation.__origin__)
            least, most = (-math.inf if info.min is None else info.min), (math.inf if info.max is None else info.max)
            numbered = "N" in str(info.metavar).split("|")
            default = parameter.default
            if numbered and default is not None and default.isdecimal():
                default = int(default)
            found[name] = Known(name, kind, choices, least, most, numbered, default, info.help or "")
    return found


def _kind(annotation: Any) -> tuple[type, tuple[str, ...]]:
    """The type that an annotation allows besides None, and its words if there are only a few."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    return (str, get_args(annotation)) if get_origin(annotation) is Literal else (annotation, ())


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked content of the file. Names have `_` and not `-`.

    Parameters
    ----------
    own
        Values of options that belong to the command itself, by name.
    common
        Values of engines' options above all tables, by name, as an engine takes them.
    by_engine, by_voice
        The same for each table.
    voices
        The voice that the table of an engine names.
    unknown
        A line for each key that means nothing.
    """

    own: Mapping[str, Any]
    common: Mapping[str, object]
    by_engine: Mapping[str, Mapping[str, object]]
    by_voice: Mapping[str, Mapping[str, object]]
    voices: Mapping[str, str]
    unknown: tuple[str, ...]

    def options(self, spec: EngineSpec, voice: str | None) -> dict[str, object]:
        """The values for an engine that speaks with a voice, by name."""
        values = {**self.common, **self.by_engine.get(spec.name, {}), **self.by_voice.get(voice or "", {})}
        return {name: value for name, value in values.items() if spec.has(name)}

    def voice(self, spec: EngineSpec) -> str | None:
        """The voice for an engine: that of its table, or the one above all tables. None if that is another engine's."""
        common = self.own.get("voice")
        if spec.name in self.voices or common is None:
            return self.voices.get(spec.name)
        elsewhere = any(self.has_voice(other, common) for other in engines().values() if other.name != spec.name)
        return None if elsewhere and not self.has_voice(spec, common) else common

    def default_voice(self, spec: EngineSpec) -> str | None:
        """The voice that an engine speaks with if none is named; None if no table of a voice needs to know."""
        return next(iter(self._voices(spec)), None) if self.by_voice else None

    def has_voice(self, spec: EngineSpec, voice: str) -> bool:
        """Whether an engine has a voice."""
        return voice in self._voices(spec)

    def _voices(self, spec: EngineSpec) -> list[str]:
        try:
            return [info.name for info in spec.voices(split(spec, self.options(spec, None))[0])]
        except TTSError:  # choosing or loading the engine raises it, too
            return []

    def engine(self, voice: str | None, given: Mapping[str, object]) -> str:
        """The engine of the file, or `auto` if that one lacks a voice or an option that is asked for."""
        name = self.own.get("engine", AUTO)
        if name == AUTO:
            return AUTO
        spec = find(name)
        fits = all(map(spec.has, given)) and (voice is None or self.has_voice(spec, voice))
        return name if fits or name not in engines() else AUTO


NONE: Final = Settings({}, {}, {}, {}, {}, ())


def checked(
    config: Config, options: Mapping[str, Known], offered: Mapping[str, Declared], convert: Convert
) -> Settings:
    """Check the values of the file.

    Parameters
    ----------
    config
        The file.
    options
        The options of `tts speak`, by name.
    offered
        Those that engines declare, by name.
    convert
        Turns a value of such an option into what an engine takes.

    Returns
    -------
    Settings
        `NONE` for a file without values.

    Raises
    ------
    UsageError
        If a value has a wrong type or is not allowed. The message has the line.
    """
    return _Check(config, options, offered, convert).run() if config.values else NONE


class _Check:
    def __init__(
        self, config: Config, options: Mapping[str, Known], offered: Mapping[str, Declared], convert: Convert
    ) -> None:
        self._config = config
        self._options = options
        self._offered = offered
        self._convert = convert
        self._unknown: list[str] = []

    def run(self) -> Settings:
        top = {key: value for key, value in self._config.values.items() if key not in TABLES}
        values = self._table((), top, self._options)
        by_engine, by_voice, voices = {}, {}, {}
        for name, table in self._tables("engines", engines()):
            spec = engines()[name]
            allowed = [each for each in self._offered if spec.has(each)]
            found = self._table(("engines", name), table, [*allowed, "voice"])
            if "voice" in found:
                voices[name] = str(found.pop("voice"))
            by_engine[name] = found
        for name, table in self._tables("voices", None):
            by_voice[name] = self._table(("voices", name), table, self._offered)
        return Settings(
            own={name: value for name, value in values.items() if name not in self._offered},
            common={name: value for name, value in values.items() if name in self._offered},
            by_engine=by_engine,
            by_voice=by_voice,
            voices=voices,
            unknown=tuple(self._unknown),
        )

    def _tables(self, kind: str, known: Collection[str] | None) -> Iterator[tuple[str, dict[str, Any]]]:
        tables = self._config.values.get(kind, {})
        if not isinstance(tables, dict):
            raise self._config.wrong([kind], f"{kind} is not a table", f"write [{kind}.NAME] above its options")
        for name, table in tables.items():
            if known is not None and name not in known:
                self._does_not_know((kind, name), known, "engine")
            elif not isinstance(table, dict):
                raise self._config.wrong(
                    [kind, name], f"{kind}.{name} is not a table", f"write [{kind}.{name}] above its options"
                )
            else:
                yield name, table

    def _table(self, path: tuple[str, ...], table: Mapping[str, Any], allowed: Collection[str]) -> dict[str, Any]:
        found = {}
        for key, value in table.items():
            name = key.replace("-", "_")
            if name in allowed:
                found[name] = self._value((*path, key), self._options[name], value)
            else:
                self._does_not_know((*path, key), [each.replace("_", "-") for each in allowed], "option")
        # The environment comes before the file, and the engine itself looks there.
        return {name: value for name, value in found.items() if not self._is_in_environment(name)}

    def _is_in_environment(self, name: str) -> bool:
        variable = self._offered[name].option.variable if name in self._offered else ""
        return bool(variable and os.environ.get(variable))

    def _does_not_know(self, keys: tuple[str, ...], known: Collection[str], what: str) -> None:
        from difflib import get_close_matches

        near = get_close_matches(keys[-1].replace("_", "-"), known, 1)
        within = f" in [{'.'.join(keys[:-1])}]" if len(keys) > 1 and what == "option" else ""
        hint = f'; did you mean "{near[0]}"?' if near else ""
        self._unknown.append(f'{self._config.where(keys)}: there is no {what} "{keys[-1]}"{within}{hint}')

    def _value(self, keys: tuple[str, ...], option: Known, value: Any) -> Any:
        try:
            option.check(value)
            if option.name == "engine" and value != AUTO:
                find(value)
            if option.kind is Path:  # beside the file, not in the folder that somebody works in
                value = self._config.path.parent / expanded(value)
            elif option.kind is str:
                value = str(value)
            known = self._offered.get(option.name)
            return value if known is None else self._convert(known, value)
        except UsageError as error:
            raise self._config.wrong(keys, error.message.removeprefix("--"), error.remedy) from error
