"""Declares the settings of the engine `remote`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

from tts_cli.engines.options import EngineSettings, Option
from tts_cli.errors import UsageError

VARIABLE = "TTS_SERVER"
NO_SERVER: Final = ("auto", "off")
"""Words that name no server: `tts speak` uses a process that keeps the engine, or does not."""


@dataclass(frozen=True, slots=True)
class RemoteSettings(EngineSettings):
    """Which servers speak.

    Parameters
    ----------
    server
        Their addresses, with commas between them; None, `auto` or `off` for those in the environment variable
        `TTS_SERVER`.
    server_model
        The model that they are asked for; None for the one that they name first, speech models before others.

    Raises
    ------
    UsageError
        If an address is wrong.

    Examples
    --------
    >>> RemoteSettings("http://a:8765,https://b/v1/").addresses
    ('http://a:8765', 'https://b')
    """

    server: Annotated[
        str | None,
        Option(
            "Speak through servers with OpenAI's speech API: URLs with commas between them. auto: tts speak uses a "
            "process that keeps the engine, if there is one; off: it does not.",
            variable=VARIABLE,
        ),
    ] = None
    server_model: Annotated[str | None, Option("Model that the servers are asked for.")] = None

    def __post_init__(self) -> None:
        EngineSettings.__post_init__(self)
        _ = self.addresses

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses, without a path `/v1` at the end; empty if no server is named."""
        given = None if self.server in NO_SERVER else self.server
        named = given if given is not None else os.environ.get(VARIABLE, "")
        found = tuple(dict.fromkeys(_address(each.strip()) for each in named.split(",") if each.strip()))
        if given is not None and not found:
            raise UsageError("--server names no server", "give an address such as http://127.0.0.1:8765")
        return found


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises for what is no port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is no address of a server", "give one such as http://127.0.0.1:8765")
    if parts.username is not None or parts.password is not None:
        raise UsageError("the address of a server holds a password", "put the key into TTS_SERVER_KEY")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")
