"""The user's `config.toml`: where it is, and its values with the lines that they stand in.

It is in the folder that `TTS_CONFIG_DIR` names, or in the user's folder for settings. `cli.settings` knows what it may
contain.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tts_cli.errors import UsageError
from tts_cli.paths import expanded, explained

__all__ = ["LARGEST", "Config", "place", "read"]

LARGEST: Final = 65_536
"""Bytes in the largest file that is read."""
_LONGEST: Final = 20
"""Lines of the longest value whose line is found."""
_PLACE: Final = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Config:
    """The content of the file.

    Parameters
    ----------
    path
        The file. It need not exist; it then has no values.
    values
        Its values: tables are dicts.
    text
        The file as it was read.
    """

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def line(self, keys: Sequence[str]) -> int | None:
        """The number of the line in which the value of `keys`, a path through tables, begins. None if it is not found.

        A beginning of the file is TOML as well, if it does not end within a value.
        """
        lines = self.text.splitlines(keepends=True)
        return next(
            (
                number
                for number, line in enumerate(lines, 1)
                if keys[-1] in line and _holds(_beginning(lines, number), keys)
            ),
            None,
        )

    def wrong(self, keys: Sequence[str], why: str, remedy: str = "") -> UsageError:
        """Make the error for a value.

        Parameters
        ----------
        keys
            The path to the value through tables.
        why
            What is wrong with it.
        remedy
            What to do about it; if empty, the message names `tts config edit`.

        Returns
        -------
        UsageError
            Its message has the file and the line.
        """
        return UsageError(f"{self.where(keys)}: {why}", remedy or "change it with: tts config edit")

    def where(self, keys: Sequence[str]) -> str:
        """The file, and the line of `keys`, in words."""
        number = self.line(keys)
        return str(self.path) if number is None else f"{self.path}, line {number}"


def place() -> Path:
    """Where the file is. It need not exist."""
    if chosen := os.environ.get("TTS_CONFIG_DIR"):
        return expanded(chosen) / "config.toml"
    from platformdirs import user_config_path

    return user_config_path("tts", appauthor=False) / "config.toml"


def read(path: Path | None = None) -> Config:
    """Read the file at `path`, or at `place()`.

    Raises
    ------
    UsageError
        If it cannot be read, or is not TOML. The message has the line.
    """
    path = path or place()
    with explained("read", path, "make it readable, or let TTS_CONFIG_DIR name another folder"):
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return Config(path)
    if len(content) > LARGEST:
        raise UsageError(f"{path} is larger than {LARGEST} bytes", "make it shorter")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken(path, content.count(b"\n", 0, error.start) + 1, "it is not UTF-8") from error
    text = text.replace("\r\n", "\n")
    try:
        return Config(path, _toml().loads(text), text)
    except RecursionError as error:
        raise _broken(path, None, "it is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and Python's for numbers that are too long
        found = _PLACE.search(str(error))
        number = int(found[1]) if found else max(1, len(text.splitlines()))
        raise _broken(path, number, _PLACE.sub("", str(error)).partition(" (at end")[0].strip()) from error


def _broken(path: Path, line: int | None, why: str) -> UsageError:
    where = f"{path}, line {line}" if line else str(path)
    return UsageError(f"{where}: this is not TOML: {why}", "change it with: tts config edit")


def _beginning(lines: Sequence[str], number: int) -> Any:
    """The values of the first `number` lines, and of so many more that the value of the last one is complete."""
    for end in range(number, min(number + _LONGEST, len(lines) + 1)):
        with suppress(ValueError):
            return _toml().loads("".join(lines[:end]))
    return {}


def _holds(values: Any, keys: Sequence[str]) -> bool:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values is not None


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib
