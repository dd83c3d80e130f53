"""One replica of a cluster: the app of `tts serve` with an engine of its own, behind the proxies of Ray Serve."""

from __future__ import annotations

import os
from functools import partial
from typing import cast

from ray import serve
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tts_cli.engines.registry import voice_maker
from tts_cli.server.app import make_app
from tts_cli.server.backpressure import Waiting
from tts_cli.server.cluster_settings import ClusterSettings, choose_engine
from tts_cli.server.health import Health
from tts_cli.server.log import LibraryLog, Log
from tts_cli.server.loopback import LoopbackOrToken
from tts_cli.server.service import Service
from tts_cli.session import Session


def front() -> Starlette:
    """The app as Ray Serve takes it. It hands all requests to the replica of this process."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        replica = cast(Replica, serve.get_replica_context().servable_object)
        await replica.answer(scope, receive, send)

    return Starlette(routes=[Mount("/", answer)])


class Replica:
    """Loads an engine and answers until Ray ends it.

    Parameters
    ----------
    settings
        Of the cluster.

    Raises
    ------
    TTSError
        What loading raises.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        os.environ.update(settings.folders)  # the process is the replica's own
        chosen = choose_engine(settings)
        self._log = Log(None)
        LibraryLog(self._log).install()
        self._session = Session(chosen.spec, chosen.settings, settings.voice)
        self._session.settle()
        self._service = Service(settings.listeners, settings.queue, self._log, idle_stop=0.0)
        self._service.open(self._session, chosen.defaults)
        self._health = Health(self._service)
        making = partial(voice_maker, chosen.spec, chosen.settings) if settings.allow_voices else None
        app = make_app(self._service, None, settings.token, settings.sites, making, lambda: None, None)
        self.answer = LoopbackOrToken(Waiting(app), settings.token, settings.sites)

    async def check_health(self) -> None:
        """Called by Ray every few seconds. Raises if the engine is dead."""
        await self._health.check()

    async def __del__(self) -> None:
        """Called by Ray when the replica has no listeners any more."""
        await self._service.end(0.0)
        self._session.close()
        self._log.close()
