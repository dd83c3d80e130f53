"""The voice store: lists voices, finds their files, and stores new voices completely or not at all.

A cached voice consists of these files:

- `NAME.pt`: the conditionals, in upstream's format. This file alone is a voice, also if it was copied here by hand.
- `NAME.json`: where the voice came from.
- `NAME.t3.safetensors`, `NAME.flow.safetensors`: the cached prefix and past.

New files are written to a draft folder and then renamed, the `.pt` last. `conditionals` reads the content of a `.pt`.
This module does not import torch.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from tts_cli.engines.spec import VoiceInfo
from tts_cli.errors import MissingError, OutputError, TTSError, UsageError
from tts_cli.paths import cannot, expanded, explained, is_full
from tts_cli.replace import alone, draft_folder

DEFAULT: Final = "default"
"""The voice that comes with the weights of Chatterbox, in the file `conds.pt`."""
ENGINE: Final = "chatterbox"
"""The engine that the voices belong to."""

_NAME = re.compile(r"\w[\w-]{0,63}")
_SUFFIXES: Final = (".json", ".t3.safetensors", ".flow.safetensors", ".pt")  # in the order in which they are renamed


@dataclass(frozen=True, slots=True)
class Draft:
    """The files to write for a new voice."""

    pt: Path
    prefix: Path
    flow: Path
    json: Path

    def describe(self, info: VoiceInfo) -> None:
        """Write the `.json` file."""
        fields = {key: value for key, value in asdict(info).items() if key not in ("name", "path")}
        self.json.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def default_dir() -> Path:
    """The voices folder: `TTS_VOICES_DIR`, `voices/` in a clone of this project, or one in the user's data folder."""
    if chosen := os.environ.get("TTS_VOICES_DIR"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[4]
    if (checkout / "pyproject.toml").is_file() and (checkout / "voices").is_dir():
        return checkout / "voices"
    return user_data_path("tts", appauthor=False) / "voices"


def check_name(name: str) -> str:
    """Check that a voice can have the name, and return it.

    Raises
    ------
    UsageError
        If it has other characters than letters, digits, `_` and `-`, if it begins with `-`, or if it is empty or longer
        than 64 characters.

    Examples
    --------
    >>> check_name("my-voice")
    'my-voice'
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a voice", "use letters, digits, - and _ only, at most 64, no - in front"
        )
    return name


def name_from(file: Path) -> str:
    """Make a name for a voice from the file name of its recording.

    Examples
    --------
    >>> name_from(Path("My voice (2).wav"))
    'My-voice-2'
    """
    stem = unicodedata.normalize("NFC", file.stem)  # on macOS é may be two characters, one of which is not a letter
    return re.sub(r"[^\w]+", "-", stem).strip("-")[:64] or "voice"


class VoiceStore:
    """The voices in a folder and, if it is there, the voice that came with the weights.

    It holds only paths and looks at the files in each call, so it is always up to date.

    Parameters
    ----------
    directory
        The voices folder; None for `default_dir()`.
    weights
        The folder with the weights; None to leave out their voice.
    """

    def __init__(self, directory: Path | None = None, weights: Path | None = None) -> None:
        self.directory = expanded(directory or default_dir())
        self._came = None if weights is None else weights / "conds.pt"

    def names(self) -> list[str]:
        """Names of the voices: `default` if it is there, then the others, sorted."""
        came = self._path_of_default()
        with self._reading():
            files = list(self.directory.iterdir()) if self.directory.exists() else []
        cached = sorted(file.stem for file in files if file.suffix == ".pt" and _NAME.fullmatch(file.stem))
        return cached if came is None else [DEFAULT, *(name for name in cached if name != DEFAULT)]

    def speakable(self) -> list[str]:
        """Names of the voices, as `names`. Raises `MissingError` if there are none."""
        names = self.names()
        if not names:
            raise MissingError("there is no voice to speak with", "make one with: tts voice cache FILE")
        return names

    def list(self) -> list[VoiceInfo]:
        """What is known about each voice, in the order of `names`."""
        return [self.info(name) for name in self.names()]

    def path(self, name: str) -> Path:
        """The `.pt` file of a voice. Raises `UsageError` if there is no such voice."""
        path = self.directory / f"{check_name(name)}.pt"
        if name == DEFAULT:
            path = self._path_of_default() or path
        with self._reading():
            is_there = path.is_file()
        if not is_there:
            known = ", ".join(self.names())
            if name == DEFAULT:  # no other voice can have this name
                make = "it comes with Chatterbox's weights: tts model pull turbo"
            else:
                make = f"make one with: tts voice cache FILE --name {name}"
            raise UsageError(f"there is no voice called {name!r}", f"choose: {known}" if known else make)
        return path

    def _path_of_default(self) -> Path | None:
        with self._reading():
            return self._came if self._came is not None and self._came.is_file() else None

    def _reading(self) -> AbstractContextManager[None]:
        remedy = f"make {self.directory} readable, or choose another folder with TTS_VOICES_DIR"
        return explained("read", self.directory, remedy)

    def prefix_path(self, name: str) -> Path:
        """The file for the prefix of a voice. It need not exist."""
        return self.directory / f"{check_name(name)}.t3.safetensors"

    def flow_path(self, name: str) -> Path:
        """The file for the past of a voice. It need not exist."""
        return self.directory / f"{check_name(name)}.flow.safetensors"

    def info(self, name: str) -> VoiceInfo:
        """What is known about a voice. If its `.json` file is missing or damaged, fields are empty."""
        path = self.path(name)
        try:
            fields = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):  # RecursionError: arrays nested thousands deep
            fields = {}
        return described(VoiceInfo(name, ENGINE, path=path), fields)

    def check_free(self, name: str, force: bool = False) -> None:
        """Raise `UsageError` if a new voice cannot have the name: it is invalid, reserved, or taken without `force`."""
        if check_name(name) == DEFAULT:
            raise UsageError(f"{name!r} is the voice that comes with the weights", "choose another with --name")
        with self._reading():
            is_taken = (self.directory / f"{name}.pt").exists()
        if is_taken and not force:
            raise UsageError(f"there is already a voice called {name!r}", "choose another --name, or use --force")

    @contextmanager
    def reserve(self, name: str, force: bool = False) -> Iterator[Draft]:
        """Store a new voice, as a context manager.

        Write the files of the draft inside the `with` block. They are renamed when the block ends. After an error, the
        draft is removed, and a voice that had the name before is unchanged.

        Parameters
        ----------
        name
            The name of the voice.
        force
            Whether to replace a voice that has the name.

        Yields
        ------
        Draft
            The files to write.

        Raises
        ------
        UsageError
            As `check_free`; also at the end, if another process has stored a voice with the name in the meantime.
        OutputError
            If the files cannot be written.
        """
        self.check_free(name, force)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with draft_folder(self.directory) as draft:
                yield Draft(
                    draft / f"{name}.pt",
                    draft / f"{name}.t3.safetensors",
                    draft / f"{name}.flow.safetensors",
                    draft / f"{name}.json",
                )
                with alone(self.directory):
                    self.check_free(name, force)
                    self._put_in_place(draft, name)
        except OSError as error:
            raise _cannot_write(self.directory, error) from error

    def remove(self, name: str) -> None:
        """Delete all files of a voice. Raises `UsageError` if there is no such voice."""
        if name == DEFAULT:
            raise UsageError(f"{name!r} comes with the weights and cannot be removed")
        self.path(name)
        try:
            with alone(self.directory):
                for suffix in reversed(_SUFFIXES):
                    (self.directory / f"{name}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_write(self.directory, error) from error

    def _put_in_place(self, draft: Path, name: str) -> None:
        for suffix in _SUFFIXES:
            new, place = draft / f"{name}{suffix}", self.directory / f"{name}{suffix}"
            if new.exists():
                new.replace(place)
            else:  # it belongs to the voice that is replaced
                place.unlink(missing_ok=True)


def described(info: VoiceInfo, fields: object) -> VoiceInfo:
    """`info` with the fields of a voice's JSON object. Fields of a wrong type are ignored."""
    if not isinstance(fields, dict):
        return info

    def text(key: str, otherwise: str = "") -> str:
        value = fields.get(key)
        return value if isinstance(value, str) else otherwise

    return replace(
        info,
        engine=text("engine", info.engine),
        source=text("source"),
        sha256=text("sha256"),
        created=text("created"),
        model=text("model"),
        duration=_seconds(fields.get("duration")),
    )


def _seconds(value: object) -> float | None:
    """`value` as a length of time in seconds; None if it is not a valid one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        return None
    return float(value)


def _cannot_write(directory: Path, error: OSError) -> TTSError:
    remedy = "free some space there" if is_full(error) else "choose another folder with TTS_VOICES_DIR"
    return cannot("write to", directory, error, remedy, OutputError)
