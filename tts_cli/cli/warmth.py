"""Where the engine of `tts speak` is loaded: in a process that keeps it, or in this one."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from tts_cli.cli.settings import Settings
from tts_cli.errors import UsageError

if TYPE_CHECKING:
    from tts_cli.engines import Engine

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


def loader(given: dict[str, object], settings: Settings, keep_warm: str) -> Callable[..., Engine]:
    """What loads the engine, given its spec and its settings.

    Parameters
    ----------
    given
        What the user has given. A `--server` that names no server, `auto` or `off`, is taken out, so that any engine
        may speak.
    settings
        Those of the user's file.
    keep_warm
        The value of `--keep-warm`.

    Returns
    -------
    load
        As `load_engine`; it uses a process that keeps the engine, unless the server is `off`.

    Raises
    ------
    UsageError
        If `keep_warm` is no time.
    """
    from tts_cli.engines.registry import load_engine
    from tts_cli.engines.remote.options import NO_SERVER
    from tts_cli.resident.engine import resident_engine

    keep = seconds_of(keep_warm)
    server = given.get("server", settings.common.get("server"))
    if server in NO_SERVER:
        given.pop("server", None)
    return load_engine if server == "off" else partial(resident_engine, keep=keep)


def seconds_of(time: str) -> float:
    """The seconds of a time such as 90s, 10m or 2h; 0 for `off`. Raises `UsageError` if it is none.

    Examples
    --------
    >>> seconds_of("10m")
    600.0
    """
    if time == "off":
        return 0.0
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", time)
    if found is None or not float(found[1]):
        raise UsageError(f"--keep-warm {time[:20]!r} is no time", "write it as 90s, 10m or 2h, or choose off")
    return float(found[1]) * _UNITS[found[2]]
