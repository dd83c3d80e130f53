"""What the routes share: when an utterance has ended, its memory goes back to the system."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from queue import Queue
from threading import Event, get_ident

import pytest

from tests.harness import PATIENCE
from tts_cli import memory
from tts_cli.engines import EngineSettings
from tts_cli.engines.spec import EngineSpec
from tts_cli.errors import TTSError
from tts_cli.server.encoding import PcmEncoder
from tts_cli.server.log import Log
from tts_cli.server.service import Service
from tts_cli.session import Session


class Borrower:
    """Borrows the engine."""

    def cancel(self, why: TTSError | None = None) -> None:
        """It does nothing that would have to end."""


async def speak(service: Service) -> None:
    request = service.request("It rains.", None, {})
    async with service.speaking(request, lambda _rate: PcmEncoder()) as speech:
        async for _piece in speech.pieces():
            pass


async def lend(service: Service) -> None:
    async with service.lending(Borrower()):
        pass


def opened() -> Service:
    session = Session(EngineSpec("tone", "Tone", "", "tests.sample_engines:ToneEngine", 24_000), EngineSettings())
    service = Service(2, 0, Log(lambda _line: None), 0.0)
    service.open(session, {})
    return service


@pytest.mark.parametrize("use", [speak, lend])
def test_memory_is_given_back_after_each_use_of_the_engine(
    use: Callable[[Service], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back = Event()
    monkeypatch.setattr(memory, "release", given_back.set)

    async def run() -> None:
        service = opened()
        for _ in range(2):
            await use(service)
            assert await asyncio.to_thread(given_back.wait, PATIENCE)
            given_back.clear()

    asyncio.run(run())


def test_what_ends_while_memory_is_given_back_is_given_back_next_by_the_same_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: Queue[int] = Queue()
    go_on = Event()

    def release() -> None:
        begun.put(get_ident())
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr(memory, "release", release)

    async def run() -> None:
        service = opened()
        await lend(service)
        first = await asyncio.to_thread(begun.get, timeout=PATIENCE)
        for _ in range(3):
            await lend(service)
        go_on.set()
        assert await asyncio.to_thread(begun.get, timeout=PATIENCE) == first

    asyncio.run(run())
    assert begun.empty(), "once for all that have ended"
