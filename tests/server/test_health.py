"""When an engine is taken for dead: it is asked only in doubt, and until it has spoken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.sample_engines import ToneEngine
from tts_cli.audio import AudioChunk
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.engines.spec import EngineSpec
from tts_cli.errors import ModelError, UnspokenError, UsageError
from tts_cli.segment import Segment
from tts_cli.server.encoding import PcmEncoder
from tts_cli.server.health import Health
from tts_cli.server.log import Log
from tts_cli.server.service import Service
from tts_cli.session import Session


class Patient(ToneEngine):
    """Counts what it is asked for, and can be dead or hang."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.asked = 0
        self.dead = False
        self.going = threading.Event()
        self.going.set()

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        self.asked += 1
        if self.dead:
            raise ModelError("the model has died", "start again")
        self.going.wait()
        yield from super().speak(segment, options)


def opened() -> tuple[Service, Patient]:
    session = Session(
        EngineSpec("patient", "Patient", "", "tests.server.test_health:Patient", 24_000), EngineSettings()
    )
    service = Service(2, 0, Log(lambda _line: None), 0.0)
    service.open(session, {})
    assert isinstance(session.engine, Patient)
    return service, session.engine


def test_an_engine_that_nobody_uses_is_not_asked() -> None:
    async def run() -> None:
        service, engine = opened()
        health = Health(service)
        await health.check()
        await health.check()
        assert engine.asked == 0

    asyncio.run(run())


def test_an_error_of_a_client_costs_one_word() -> None:
    async def run() -> None:
        service, engine = opened()
        health = Health(service)
        service.monitor.failed(UsageError("wrong"))
        await health.check()
        await health.check()
        assert engine.asked == 1

    asyncio.run(run())


def test_a_dead_engine_stays_dead_until_it_speaks() -> None:
    async def run() -> None:
        service, engine = opened()
        health = Health(service)
        engine.dead = True
        service.monitor.failed(ModelError("it has died"))
        for _ in range(3):
            with pytest.raises(UnspokenError, match="the model has died"):
                await health.check()
        engine.dead = False
        await health.check()
        assert engine.asked == 4
        await health.check()
        assert engine.asked == 4

    asyncio.run(run())


def test_an_engine_that_hangs_is_asked_once_and_dead() -> None:
    async def run() -> None:
        service, engine = opened()
        health = Health(service, seconds=0.05)
        engine.going.clear()
        request = service.request("Hello there.", None, {})
        try:
            async with service.speaking(request, lambda _rate: PcmEncoder()):
                for _ in range(3):
                    with pytest.raises(ModelError, match="computed nothing"):
                        await health.check()
                assert engine.asked <= 2
                engine.going.set()
                await health.check()
        finally:
            engine.going.set()

    asyncio.run(run())
