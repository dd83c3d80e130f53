"""Engines are loaded without a search for garbage, which goes on afterwards."""

from __future__ import annotations

import gc

import pytest

from tts_cli.engines import EngineSettings
from tts_cli.engines.registry import find, load_engine
from tts_cli.errors import ModelError
from tts_cli.segment import Segment

_collecting: list[bool] = []


class Noting:
    """An engine that notes whether garbage is looked for while it loads, and then fails."""

    name = "noting"
    sample_rate = 24_000

    def __init__(self, settings: EngineSettings) -> None:
        del settings
        _collecting.append(gc.isenabled())
        raise ModelError("it is damaged")

    def stream(self, segments: object, voice: str, options: object) -> list[Segment]:
        del segments, voice, options
        return []

    def voices(self) -> list[str]:
        return []

    def close(self) -> None:
        return


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_not_looked_for_while_an_engine_loads_and_then_as_before(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ModelError):
            load_engine(find(f"{__name__}:Noting"), EngineSettings())
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert _collecting.pop() is False


def test_what_is_there_after_loading_counts_as_old() -> None:
    class Loaded:
        pass

    kept = Loaded()

    with pytest.raises(ModelError):
        load_engine(find(f"{__name__}:Noting"), EngineSettings())
    assert any(each is kept for each in gc.get_objects(generation=2)), "a search of young objects still looks at it"
    assert gc.get_freeze_count() == 0
    _collecting.clear()
