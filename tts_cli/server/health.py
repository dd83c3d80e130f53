"""Finds out whether an engine still speaks, and asks it to speak only if there is doubt."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Final

from tts_cli.errors import ModelError
from tts_cli.server.service import Service
from tts_cli.server.speech import Speech

PROBE: Final = "Hello."
PROBE_SECONDS: Final = 20.0
"""How long the engine may compute nothing, for anybody, while it is asked to speak."""


class Health:
    """Finds out whether the engine is dead. Used in the event loop only.

    Parameters
    ----------
    service
        What speaks.
    seconds
        As `PROBE_SECONDS`.
    """

    def __init__(self, service: Service, seconds: float = PROBE_SECONDS) -> None:
        self._service = service
        self._seconds = seconds
        self._errors = 0
        self._sound = 0.0
        self._doubt = False
        self._probing: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Return if the engine speaks, or if there is no sign that it does not.

        There is doubt after an error, and while somebody listens and nothing is computed. The engine is then asked to
        speak a word. The doubt ends when it has.

        Raises
        ------
        ModelError
            If it computes nothing.
        Exception
            What the engine raises.
        """
        glance, sound = self._service.monitor.glance(), self._computed()
        still = bool(self._service.speeches) and sound == self._sound
        self._doubt |= glance.errors != self._errors or still
        self._errors, self._sound = glance.errors, sound
        if self._doubt:
            await self._probe()
            self._doubt = False

    async def _probe(self) -> None:
        if self._probing is None or self._probing.done():  # an engine that hangs is asked once
            self._probing = asyncio.ensure_future(asyncio.to_thread(self._speak))
        before = self._computed()
        try:
            await asyncio.wait_for(asyncio.shield(self._probing), self._seconds)
        except asyncio.TimeoutError as error:
            if self._computed() == before:
                raise ModelError(f"the engine has computed nothing for {self._seconds:g} s") from error

    def _speak(self) -> None:
        with closing(self._service.session.stream(PROBE)) as chunks:
            for _ in chunks:
                pass

    def _computed(self) -> float:
        """Seconds of sound: what was sent of utterances that have ended, and what was computed of those that run."""
        running = [each.measured.sound for each in self._service.speeches if isinstance(each, Speech)]
        return self._service.monitor.glance().spoken + sum(running)
