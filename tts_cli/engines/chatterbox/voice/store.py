"""The voice store: which voices there are, where their files lie, and how they get there whole.

A cached voice is `NAME.pt` (conditionals, in upstream's format), beside it `NAME.json` (where it came from)
and, where an engine found something worth keeping, `NAME.t3.safetensors` and `NAME.flow.safetensors`. The
`.pt` alone makes a voice: one copied here by hand is listed too. New files are written in a folder beside their
place and renamed into it, the `.pt` last, so that a voice is there whole or not at all.

What is inside a `.pt` is the engine's business (`engines.chatterbox.voice`); this module needs no torch.
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
"""The voice that came with the weights of Chatterbox, as a `conds.pt` among them."""
ENGINE: Final = "chatterbox"
"""The engine whose voices these are."""

_NAME = re.compile(r"\w[\w-]{0,63}")
_SUFFIXES: Final = (".json", ".t3.safetensors", ".flow.safetensors", ".pt")  # in the order they are put in place


@dataclass(frozen=True, slots=True)
class Draft:
    """Where to write the files of a voice that is being made."""

    pt: Path
    prefix: Path
    flow: Path
    json: Path

    def describe(self, info: VoiceInfo) -> None:
        """Write `info` down, beside the voice."""
        fields = {key: value for key, value in asdict(info).items() if key not in ("name", "path")}
        self.json.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def default_dir() -> Path:
    """`TTS_VOICES_DIR`, else `voices/` of the checkout we run from, else a folder among the user's data."""
    if chosen := os.environ.get("TTS_VOICES_DIR"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[4]
    if (checkout / "pyproject.toml").is_file() and (checkout / "voices").is_dir():
        return checkout / "voices"
    return user_data_path("tts", appauthor=False) / "voices"


def check_name(name: str) -> str:
    """`name` itself, where it can name a voice.

    Raises `UsageError` for anything but letters, digits, `_` and `-` (1 to 64 of them, no `-` in front).
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a voice", "use letters, digits, - and _ only, at most 64, no - in front"
        )
    return name


def name_from(file: Path) -> str:
    """A voice name made from a recording's file name: `My voice (2).wav` becomes `My-voice-2`."""
    stem = unicodedata.normalize("NFC", file.stem)  # macOS may write é as two characters, of which one is no letter
    return re.sub(r"[^\w]+", "-", stem).strip("-")[:64] or "voice"


class VoiceStore:
    """The voices that have a file: the cached ones in one folder and, where a folder of weights is given and holds one,
    the one that came with them. Holds nothing but paths, so it is never out of date.
    """

    def __init__(self, directory: Path | None = None, weights: Path | None = None) -> None:
        self.directory = expanded(directory or default_dir())
        self._came = None if weights is None else weights / "conds.pt"

    def names(self) -> list[str]:
        """Names of the voices, `default` first if it is there, the cached ones sorted."""
        came = self._path_of_default()
        with self._reading():
            files = list(self.directory.iterdir()) if self.directory.exists() else []
        cached = sorted(file.stem for file in files if file.suffix == ".pt" and _NAME.fullmatch(file.stem))
        return cached if came is None else [DEFAULT, *(name for name in cached if name != DEFAULT)]

    def speakable(self) -> list[str]:
        """As `names`. Raises `MissingError` where there is none."""
        names = self.names()
        if not names:
            raise MissingError("there is no voice to speak with", "make one with: tts voice cache FILE")
        return names

    def list(self) -> list[VoiceInfo]:
        """What is known about each voice, in the order of their names."""
        return [self.info(name) for name in self.names()]

    def path(self, name: str) -> Path:
        """The `.pt` of the voice. Raises `UsageError` where there is none of that name."""
        path = self.directory / f"{check_name(name)}.pt"
        if name == DEFAULT:
            path = self._path_of_default() or path
        with self._reading():
            is_there = path.is_file()
        if not is_there:
            known = ", ".join(self.names())
            if name == DEFAULT:  # a name that no voice can be given
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
        """Where the voice's T3 prefix lies, or would."""
        return self.directory / f"{check_name(name)}.t3.safetensors"

    def flow_path(self, name: str) -> Path:
        """Where what the flow keeps of the voice lies, or would."""
        return self.directory / f"{check_name(name)}.flow.safetensors"

    def info(self, name: str) -> VoiceInfo:
        """What is known about the voice; a missing or damaged JSON leaves the fields empty."""
        path = self.path(name)
        try:
            fields = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):  # the last for arrays nested thousands deep
            fields = {}
        return _described(VoiceInfo(name, ENGINE, path=path), fields)

    def check_free(self, name: str, force: bool = False) -> None:
        """Raise `UsageError` where a voice of that name cannot be made: a bad, reserved or taken name."""
        if check_name(name) == DEFAULT:
            raise UsageError(f"{name!r} is the voice that comes with the weights", "choose another with --name")
        with self._reading():
            is_taken = (self.directory / f"{name}.pt").exists()
        if is_taken and not force:
            raise UsageError(f"there is already a voice called {name!r}", "choose another --name, or use --force")

    @contextmanager
    def reserve(self, name: str, force: bool = False) -> Iterator[Draft]:
        """Make a voice: write its files where the draft says; they are put in place when the block ends well.

        Raises `UsageError` as `check_free` does, at the end as well where another process has made a voice of that
        name in the meantime, and `OutputError` where they cannot be written; then, and after any other error inside
        the block, nothing is left behind and a voice that was there is untouched.
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
        """Delete the voice and what lies beside it. Raises `UsageError` for an unknown name."""
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
            else:  # what lay beside the voice that is being replaced says nothing about the new one
                place.unlink(missing_ok=True)


def _described(info: VoiceInfo, fields: object) -> VoiceInfo:
    """`info` with the fields of a JSON that are of their type; anything else in it is passed over."""
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
    """`value` as a length of time; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        return None
    return float(value)


def _cannot_write(directory: Path, error: OSError) -> TTSError:
    remedy = "free some space there" if is_full(error) else "choose another folder with TTS_VOICES_DIR"
    return cannot("write to", directory, error, remedy, OutputError)
