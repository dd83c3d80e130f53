"""What all routes share: the loaded engine, the places of listeners, and everything that is being spoken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from tts_cli import memory
from tts_cli.errors import TTSError
from tts_cli.metrics import Meter
from tts_cli.server.activity import Activity
from tts_cli.server.admission import RETRY_SECONDS, Admission, UnreadyError
from tts_cli.server.connection_sink import ConnectionSink, Encoder
from tts_cli.server.log import Log
from tts_cli.server.monitoring import Monitor
from tts_cli.server.request import Request, request_of
from tts_cli.server.speech import Speech, now
from tts_cli.session import Session

CANCEL_SECONDS: Final = 2.0
"""How long a cancelled engine may take to finish its step when the server ends."""


class Cancellable(Protocol):
    """What is being spoken."""

    def cancel(self, why: TTSError | None = None) -> None:
        """End it after the engine's present step."""
        ...


class Service:
    """An engine that listeners share. Used in the event loop only, unless a method says otherwise.

    Parameters
    ----------
    listeners
        How many may listen at once; None for as many as the engine can compute for.
    waiting
        How many may wait for a place.
    log
        Takes a line for each utterance.
    idle_stop
        Seconds without anybody to serve after which the server ends; 0: never.
    """

    def __init__(self, listeners: int | None, waiting: int, log: Log, idle_stop: float) -> None:
        self.log = log
        self.speeches: set[Cancellable] = set()
        self.opened = asyncio.Event()
        self.idle_stop = idle_stop
        self.admission = Admission(0, waiting)
        self.monitor = Monitor(self.admission)
        self.use = Activity()
        self.ending = False
        self._listeners = listeners
        self._session: Session | None = None
        self._defaults: Mapping[str, Any] = {}
        # One thread for all of it, so that the server holds as many threads after an hour as after the first listener.
        self._releasing = ThreadPoolExecutor(1, "release memory")
        self._to_release = False
        self._silent = asyncio.Event()
        self._silent.set()

    def open(self, session: Session, defaults: Mapping[str, Any]) -> None:
        """Begin to answer requests with the loaded engine."""
        self._session, self._defaults = session, defaults
        self.admission.places = session.engine.capacity if self._listeners is None else self._listeners
        self.opened.set()

    @property
    def session(self) -> Session:
        """The loaded engine. Raises `UnreadyError` before it is loaded, and when the server ends."""
        if self.ending:
            raise UnreadyError("the server is ending", "try another, or later")
        if self._session is None:
            raise UnreadyError("the engine is being loaded", f"try again in {RETRY_SECONDS} s")
        return self._session

    @property
    def idle(self) -> float:
        """For how many seconds nobody has been served. May be read in any thread."""
        return 0.0 if self.admission.taken else self.use.idle

    def request(self, text: object, voice: object, fields: Mapping[str, Any]) -> Request:
        """Check a request.

        Parameters
        ----------
        text, voice, fields
            As for `request_of`.

        Returns
        -------
        Request
            What `speaking` takes.

        Raises
        ------
        TTSError
            As `request_of` does, or if the engine is not loaded.
        """
        return request_of(self.session, text, voice, fields, self._defaults)

    @asynccontextmanager
    async def speaking(self, request: Request, encoder: Callable[[int], Encoder]) -> AsyncIterator[Speech]:
        """Begin to speak, after waiting for a place. At the end of the block the utterance ends.

        Parameters
        ----------
        request
            What to speak.
        encoder
            Makes the encoder, given samples a second.

        Raises
        ------
        RefusedError
            If there is no place, or the server ends.
        """
        asked = now()
        try:
            await self.admission.enter()
        except TTSError as error:
            self.monitor.failed(error)
            raise
        try:
            session = self.session
            meter, rate = Meter(), session.engine.sample_rate
            sink = ConnectionSink(encoder(rate), self._computed)
            utterance = session.start(request.text, voice=request.voice, sink=sink, meter=meter, **request.options)
        except BaseException:
            self.admission.leave()
            raise
        speech = Speech(utterance, sink, meter, rate, now() - asked)
        self.speeches.add(speech)
        self._silent.clear()
        try:
            yield speech
        finally:
            speech.cancel()
            self.speeches.discard(speech)
            self._notice_silence()
            self.monitor.ended(speech)
            self.log.line(speech.summary())

    @asynccontextmanager
    async def lending(self, borrower: Cancellable) -> AsyncIterator[Session]:
        """Lend the engine, after waiting for a place. `borrower` is cancelled when the server ends.

        Raises
        ------
        RefusedError
            If there is no place, or the server ends.
        """
        await self.admission.enter()
        self.speeches.add(borrower)
        self._silent.clear()
        try:
            yield self.session
        finally:
            self.speeches.discard(borrower)
            self._computed()

    def _computed(self) -> None:
        """An utterance has ended. Its place is free, though its listener may have some sound to take."""
        self.admission.leave()
        self._notice_silence()
        self._release()

    def _release(self) -> None:
        """Give back the memory of the utterance, in a thread."""
        if not self._to_release:
            self._to_release = True
            self._releasing.submit(self._release_now)

    def _release_now(self) -> None:
        self._to_release = False  # for what ends from now on, this may be too early
        memory.release()

    def _notice_silence(self) -> None:
        if not self.speeches and not self.admission.taken:
            self._silent.set()

    async def end(self, grace: float) -> bool:
        """Take no more requests, let those that run finish for `grace` seconds, and cancel the rest.

        Returns whether everything has ended.
        """
        self.ending = True
        why = UnreadyError("the server is ending", "try another, or later")
        self.admission.refuse_waiting(why)
        if await self._wait_silent(grace):
            return True
        for speech in list(self.speeches):
            speech.cancel(why)
        return await self._wait_silent(CANCEL_SECONDS)

    async def _wait_silent(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._silent.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True
