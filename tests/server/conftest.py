"""The servers that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.serving import SLOW, Server, serving


@pytest.fixture(scope="session")
def builtin() -> Iterator[Server]:
    """The built-in voice."""
    with serving(engine="builtin") as server:
        yield server


@pytest.fixture(scope="session")
def slow() -> Iterator[Server]:
    """An engine that is slower than its sound, for one listener and one who waits."""
    with serving("--max-listeners", "1", "--queue", "1", "--chunk", "1", engine=SLOW) as server:
        yield server


@pytest.fixture(scope="session")
def tone() -> Iterator[Server]:
    """An engine that is as fast as can be, and that fails on texts with the word "bad"."""
    with serving(engine="tests.sample_engines:PickyEngine") as server:
        yield server
