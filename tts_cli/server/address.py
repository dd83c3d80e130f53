"""The address of a server, and who may use it: checked, and bound, before anything heavy is loaded."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from tts_cli.errors import UsageError

SENT_BYTES: Final = 131_072
"""How many bytes the system is asked to buffer for each client. Linux buffers twice that, five seconds of sound. By
default, the system buffers more than a minute, and takes no further bytes until the client has read a third of it. A
client that plays the sound would then seem to read nothing."""


def check_token(token: str) -> None:
    """Raise `UsageError` if a token, which may be empty, cannot be sent in a header."""
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("a token has no spaces and only ASCII characters", "choose another token")


def bind(host: str, port: int, token: str) -> socket.socket:
    """Make a socket that listens at an address.

    Parameters
    ----------
    host
        A name or an IP address.
    port
        A TCP port; 0 for any that is free.
    token
        What clients must send; empty for none.

    Returns
    -------
    socket
        Bound, and to be closed by the caller.

    Raises
    ------
    UsageError
        If the address cannot be used, or other machines could reach it and there is no token.

    Examples
    --------
    >>> with bind("127.0.0.1", 0, "") as bound:
    ...     is_local(bound)
    True
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"there is no host {host!r}", "choose another with --host") from error
    if not token and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise UsageError(f"other machines could reach this server at {host}", "add --token TOKEN, or leave out --host")
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES)
        bound.bind(address)
        bound.listen()
    except OSError as error:
        bound.close()
        raise UsageError(
            f"cannot serve at {host} port {port}: {error.strerror}", "choose another with --host or --port"
        ) from error
    return bound


def is_local(bound: socket.socket) -> bool:
    """Whether only this machine reaches the socket."""
    if bound.family == socket.AF_UNIX:
        return True
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def url_of(bound: socket.socket) -> str:
    """The URL of a server at this socket; its path, if it is a file."""
    if bound.family == socket.AF_UNIX:
        return str(bound.getsockname())
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def checked_origins(given: Iterable[str]) -> frozenset[str]:
    """Sites as browsers send them in `Origin`.

    Raises
    ------
    UsageError
        If one is no site.

    Examples
    --------
    >>> checked_origins(["https://Example.org/"])
    frozenset({'https://example.org'})
    """
    return frozenset(map(_checked, given))


def _checked(origin: str) -> str:
    found = origin.lower().removesuffix("/")
    try:
        parts = urlsplit(found)
        parts.port  # noqa: B018  raises for what is no port
    except ValueError:
        parts = urlsplit("")
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if usual is None or not parts.hostname or found != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise UsageError(f"{origin[:60]!r} is no site", "write it as https://example.org, with the port if it has one")
    return found.removesuffix(usual)
