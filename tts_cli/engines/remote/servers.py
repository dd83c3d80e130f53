"""Chooses the server for each request: one that answers, with the fewest requests under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

RESTS: Final = 10.0
"""Seconds for which a server that has failed is asked only after all others."""


@dataclass(slots=True)
class Server:
    """One server."""

    url: str
    requests: int = 0
    """Requests that are under way."""
    rests_until: float = 0.0
    """By the clock of `Servers`: until then it is asked last."""


class Servers:
    """Servers that share the requests of all utterances.

    Parameters
    ----------
    urls
        Their addresses, one or more. Of equal ones, the first is chosen.
    clock
        Returns the time in seconds.

    Examples
    --------
    >>> servers = Servers(["http://a", "http://b"])
    >>> with servers.asked() as first, servers.asked() as second:
    ...     first.url, second.url
    ('http://a', 'http://b')
    """

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.all = [Server(url) for url in urls]
        self._clock = clock
        self._choosing = Lock()

    @contextmanager
    def asked(self, but: Sequence[Server] = ()) -> Iterator[Server]:
        """A context manager with the server to ask next, none of `but`. The request is under way in its block."""
        with self._choosing:
            now = self._clock()
            server = min(
                (each for each in self.all if each not in but), key=lambda each: (each.rests_until > now, each.requests)
            )
            server.requests += 1
        try:
            yield server
        finally:
            with self._choosing:
                server.requests -= 1

    def failed(self, server: Server) -> None:
        """Ask a server last for some time."""
        server.rests_until = self._clock() + RESTS
