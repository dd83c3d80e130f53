"""Keeps measurements in the user's cache: one file for each machine and folder of weights, replaced as a whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

import torch

from tts_cli.engines.chatterbox.options import PRECISIONS, STRATEGIES
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.precision.weight_cache import cache_dir
from tts_cli.engines.chatterbox.tuning.identity import Identity, Machine, name_of
from tts_cli.engines.chatterbox.tuning.rule import Row, Way
from tts_cli.errors import OutputError, UsageError
from tts_cli.paths import explained
from tts_cli.replace import replacing

FORMAT: Final = 1
"""The version of the file, and of how it is timed. A change of it makes older files stale."""
_LARGEST: Final = 1_000_000
"""Bytes. This program writes no larger file."""
_TIMES: Final = ("token", "flow", "vocoder", "large")

State = Literal["measured", "missing", "stale", "damaged"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the cache has for this machine and these weights."""

    state: State
    """`stale`: of other versions or other weights."""
    file: Path
    rows: tuple[Row, ...] = ()
    """Empty unless the state is `measured`."""
    created: str = ""
    """When it was measured: ISO 8601, UTC."""

    @property
    def notice(self) -> str:
        """A line for the user if the file is damaged; otherwise empty."""
        if self.state != "damaged":
            return ""
        return f"the measurements in {self.file} are damaged and are ignored; measure again with: tts tune"


def read(folder: Path) -> Stored:
    """Read what was measured on this machine with the weights in `folder`. Never raises because of the file."""
    machine = Machine.here()
    file = cache_dir() / name_of(machine, folder)
    try:
        if not file.is_file():
            return Stored("missing", file)
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            return Stored("damaged", file)
        found = json.loads(content)
        if found["format"] != FORMAT or found["identity"] != asdict(Identity.here(folder)):
            return Stored("stale", file)
        rows, created = tuple(_row(each, machine) for each in found["rows"]), str(found["created"])
    except (OSError, UsageError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Stored("damaged", file)
    return Stored("measured", file, rows, created)


def write(rows: Sequence[Row], folder: Path) -> Path:
    """Keep measurements of this machine with the weights in `folder`, and return the file.

    Raises
    ------
    OutputError
        If the cache cannot be written to. What it had before is then still there.
    """
    identity = Identity.here(folder)
    file = cache_dir() / name_of(identity.machine, folder)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    content = {
        "format": FORMAT,
        "identity": asdict(identity),
        "created": created,
        "rows": [fields(row) for row in rows],
    }
    with explained("keep the measurements in", file, "let TTS_CACHE_DIR name a folder of yours", OutputError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(json.dumps(content, indent=1).encode())
    return file


def fields(row: Row) -> dict[str, Any]:
    """A row as JSON has it."""
    return asdict(row.way) | {name: getattr(row, name) for name in ("rtf", "least", *_TIMES)}


def _row(found: Mapping[str, Any], machine: Machine) -> Row:
    """The row that `fields` described. Raises an error, such as `ValueError`, if it is no row of this machine."""
    way = Way(found["device"], found["precision"], found["strategy"], found["threads"])
    allowed = way.device in ("cpu", *machine.devices) and way.precision in PRECISIONS and way.strategy in STRATEGIES
    if not allowed or type(way.threads) is not int or not 1 <= way.threads <= 1024 or type(found["least"]) is not bool:
        raise ValueError
    choose(way.precision, torch.device(way.device))
    times = {name: None if found[name] is None else _positive(found[name]) for name in _TIMES}
    return Row(way, _positive(found["rtf"]), found["least"], **times)


def _positive(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
        raise ValueError
    return float(value)
