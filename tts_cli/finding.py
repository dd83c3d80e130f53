"""What a check of this machine has found: a line of `tts doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from tts_cli.errors import MissingError, TTSError

__all__ = ["Finding", "State", "finding", "versions"]

State = Literal["ok", "advice", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found.

    Parameters
    ----------
    topic
        What was looked at, in a few words.
    state
        `missing` if `tts speak` cannot work without it; `advice` if it works with less.
    found
        What is there, or what is wrong.
    remedy
        What to do; empty if there is nothing to do.
    """

    topic: str
    state: State
    found: str
    remedy: str = ""


def finding(topic: str, check: Callable[[], str], otherwise: State = "advice") -> Finding:
    """Run a check.

    Parameters
    ----------
    topic
        What is looked at.
    check
        Returns what is there. Raises `TTSError` if something is wrong; any other error is shown, too.
    otherwise
        The state if it raises.

    Returns
    -------
    Finding
        Its state is `ok` or `otherwise`.

    Examples
    --------
    >>> finding("disk", lambda: "3 GB free")
    Finding(topic='disk', state='ok', found='3 GB free', remedy='')
    """
    try:
        return Finding(topic, "ok", check())
    except TTSError as error:
        return Finding(topic, otherwise, error.message, error.remedy)
    except Exception as error:  # noqa: BLE001  a library that is damaged may raise anything
        return Finding(topic, otherwise, f"{type(error).__name__}: {error}", "install it again")


def versions(packages: Iterable[str], remedy: str) -> str:
    """The installed versions of packages, in words. Raises `MissingError` with the remedy if one is not installed.

    Examples
    --------
    >>> versions(["no-such-package"], "install it")
    Traceback (most recent call last):
    tts_cli.errors.MissingError: not installed: no-such-package; install it
    """
    found = {name: _version(name) for name in packages}
    absent = [name for name, version in found.items() if version is None]
    if absent:
        raise MissingError(f"not installed: {', '.join(absent)}", remedy)
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
