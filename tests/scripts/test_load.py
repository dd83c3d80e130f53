"""A short load and a short soak of a server, and whose fault a gap is."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from load import faults_of
from loading.blame import Step, culprit
from loading.listener import PREBUFFER, Gap, Manner, gaps
from loading.rows import percentile
from loading.soaking import _listen
from websockets.asyncio.server import ServerConnection, serve

from tests.harness import PATIENCE, ROOT, clean_environment
from tests.server.serving import TONE, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


BREATHLESS = "tests.sample_engines:BreathlessEngine"
SEED = "11"
"""A seed with which somebody listens, somebody leaves and somebody reads slowly."""


def load(*options: str, **environment: str) -> Any:
    command = [sys.executable, str(ROOT / "scripts" / "load.py"), "--json", *options]
    done = subprocess.run(
        command, check=False, env=clean_environment() | environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_listeners_are_counted_whether_they_are_heard_or_refused() -> None:
    options = ("--max-listeners", "1", "--queue", "1")
    (row,) = load("--engine", BREATHLESS, "--listeners", "3", "--least", "1", *options)
    assert (row["asked"], row["heard"], row["status_429"]) == (3, 2, 1)
    assert row["gaps"] and row["rtf"][1] > 1.4  # noqa: PT018  the engine is slower than its sound
    assert 0 < row["ttfa"][0] <= row["ttfa"][1] <= row["ttfa"][2]
    assert row["used"]["memory_peak"] > 20


def test_a_server_that_runs_already_is_sent_the_token() -> None:
    with serving(TTS_SERVER_KEY="secret") as server:
        options = ("--url", server.url, "--listeners", "2", "--least", "4")
        (row,) = load(*options, TTS_SERVER_KEY="secret")
        assert (row["asked"], row["heard"], row["used"]) == (4, 4, None)
        (row,) = load(*options)
        assert (row["heard"], row["failed"]) == (0, 4)


def test_a_soak_counts_those_who_listen_leave_or_read_slowly() -> None:
    options = ("--minutes", "0.12", "--at-once", "6", "--sentences", "1", "--seed", SEED)
    counts = load("--engine", TONE, *options)
    assert {"heard"} <= set(counts["texts"]) <= {"heard", "left", "slow"}  # a busy machine may have no time for all
    assert counts["server_utterances"] >= sum(counts["texts"].values())  # some were heard when the time was over
    assert 0.1 < counts["sound_minutes"] < 2


def test_a_listener_who_is_sent_away_while_it_says_farewell_leaves_no_connection() -> None:
    """Or a later one, whose socket has its number, would fail."""

    async def leave() -> None:
        heard, over = asyncio.Event(), asyncio.Event()

        async def deaf(client: ServerConnection) -> None:
            await client.recv()
            await client.send(bytes(48_000))
            client.transport.pause_reading()
            heard.set()
            await over.wait()

        async with serve(deaf, "127.0.0.1", 0, close_timeout=0.1) as server:
            place = server.sockets[0].getsockname()
            url = f"http://{place[0]}:{place[1]}"
            listening = asyncio.create_task(_listen(url, "Hi.", Manner(patience=PATIENCE, leaves=0.1)))
            await heard.wait()
            await asyncio.sleep(0.1)  # in which it begins with its farewell
            listening.cancel()
            await asyncio.wait([listening])
            over.set()
            with socket.socket() as another:
                another.setblocking(False)
                await asyncio.get_running_loop().sock_connect(another, place)

    asyncio.run(leave())


def test_what_a_soak_must_not_have_is_a_fault() -> None:
    well = {"gaps": {"machine": 3}, "memory_growth": 19.0, "texts": {"heard": 1, "left": 1, "slow": 1}}
    assert not faults_of(well)
    for wrong in ({"gaps": {"server": 1}}, {"memory_growth": 21.0}, {"texts": {"heard": 1, "429": 1}}):
        assert len(faults_of(well | wrong)) == 1


ARRIVALS = st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 2)), min_size=1, max_size=20)


@given(ARRIVALS)
def test_gaps_are_what_playing_in_real_time_takes_beyond_the_sound(steps: list[tuple[float, float]]) -> None:
    moments = list(accumulate(wait for wait, _ in steps))
    sounds = [seconds for _, seconds in steps]
    found = gaps(list(zip(moments, sounds, strict=True)))
    begun = next((each for each, gathered in enumerate(accumulate(sounds)) if gathered >= PREBUFFER), None)
    if begun is None:
        assert not found
        return
    # No sound can end before it has come and it, and all after it, was played.
    earliest = [moments[each] + sum(sounds[each:]) for each in range(begun + 1, len(steps))]
    end = max([moments[begun] + sum(sounds), *earliest])
    silent = end - moments[begun] - sum(sounds)
    assert sum(gap.seconds for gap in found) == pytest.approx(silent, abs=1e-9)
    assert all(gap.last <= gap.end and gap.begin < gap.end for gap in found)


def test_a_gap_is_the_servers_unless_something_else_explains_it() -> None:
    gap = Gap(last=1.0, begin=2.0, end=3.0)
    step = {"late": 0.0, "waited": 0.0, "others": 0.0}

    def blamed(**counted: float) -> str:
        return culprit(gap, [Step(1.0, 3.0, **(step | counted)), Step(9.0, 10.0, 9.0, 9.0, 9.0)], cores=2)

    assert blamed() == "server"
    assert blamed(late=0.5) == "script"
    assert blamed(waited=0.5, others=0.4) == "machine"
    assert blamed(waited=0.5, others=0.3) == "server"  # its own threads wait for each other
    assert blamed(waited=0.4, others=2.0) == "server"


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.01) == 7
