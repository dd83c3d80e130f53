"""A cluster: `serve run` with a local Ray, whose replicas grow in number, share the load, die and come back."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import soundfile
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, clean_environment
from tests.server.ray_cluster import BEARER, TOKEN, Cluster, processes_in, running
from tests.server.serving import hear, send

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install '.[cluster]'"),
]
HELD = "Stay between us and finally go home."
"""The engine gives a chunk of it, waits at a gate, gives another chunk, and waits at the last gate."""
CHUNK = 9600
"""Samples in it."""
PLACES = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running(
        TTS_CLUSTER_ENGINE="tests.sample_engines:ReplicaEngine",
        TTS_CLUSTER_LISTENERS=str(PLACES),
        TTS_CLUSTER_MAX_REPLICAS="2",
        TTS_CLUSTER_CPUS="0.5",
        TTS_CLUSTER_SCALE_UP_AFTER="0",
        TTS_CLUSTER_HEALTH_EVERY="0.3",
        TTS_CLUSTER_GRACE="5",
    ) as cluster:
        yield cluster


@contextmanager
def posted(cluster: Cluster, text: str) -> Iterator[HTTPResponse]:
    """The answer to a request for speech; its body is not read."""
    body = json.dumps({"model": "tts", "input": text, "response_format": "pcm"})
    with closing(HTTPConnection("127.0.0.1", cluster.port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/v1/audio/speech", body, BEARER | {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            assert response.status == 200
            yield response


@contextmanager
def speaking(servers: str, text: str, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`tts speak` through servers."""
    environment = clean_environment() | {"TTS_SERVER_KEY": TOKEN}
    command = [*TTS, "speak", text, "--server", servers, "-q", "-o", str(file)]
    with warm.popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as program:
        try:
            yield program
        finally:
            program.kill()


def test_what_must_not_reach_the_app_does_not(cluster: Cluster) -> None:
    assert cluster.get("/readyz") == (200, "ready\n")
    assert cluster.get("/v1/models")[0] == 401
    assert cluster.get("/v1/models", **BEARER)[0] == 200
    assert "no such name" in cluster.get("/v1/models", Host="rebound.example", **BEARER)[1]
    assert "pages of other sites" in cluster.get("/v1/models", Origin="http://evil.example", **BEARER)[1]
    wrong: list[dict[str, Any]] = [
        {"additional_headers": {}},
        {"additional_headers": BEARER | {"Origin": "http://evil.example"}},
    ]
    for options in wrong:
        with pytest.raises(InvalidStatus), cluster.connect(**options):
            pass
    if (outside := address_of_this_machine()) is not None:
        assert cluster.get("/v1/models", outside)[0] == 401
        assert cluster.get("/v1/models", outside, Host="speech.example", **BEARER)[0] == 200


def address_of_this_machine() -> str | None:
    """One that is not a loopback address; None if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        return str(asking.getsockname()[0])


def test_sound_is_sent_while_it_is_computed(cluster: Cluster) -> None:
    with cluster.connect() as client, posted(cluster, HELD) as response:
        send(client, {"text": HELD, "tokens_per_chunk": 10})
        assert len(client.recv(PATIENCE)) == 2 * CHUNK
        assert len(response.read(2 * CHUNK)) == 2 * CHUNK
        with cluster.open_gates():
            rest = hear(client)
            sound = response.read()
    assert rest.last["state"] == "done"
    assert rest.last["audio_duration_ms"] == 1000 * (len(rest.sound) + CHUNK) / 24_000
    assert len(sound) == 2 * len(rest.sound)


def test_a_slow_reader_is_waited_for(cluster: Cluster) -> None:
    """It reads nothing, while others are spoken to. What it was sent is what sockets hold, and not the whole text.

    On a busy machine, a replica may learn late that it has left, and goes on until then: the best of three counts.
    """
    sent: list[str] = []
    while len(sent) < 3 and not any(float(seconds) < 300 for seconds in sent):
        with posted(cluster, "And so on and on, without an end. " * 2900):
            for _ in range(10):
                cluster.wait_for_replicas(1)
        before, deadline = len(sent), time.monotonic() + PATIENCE
        while len(sent := re.findall(r"\d{3,} characters, sent ([\d.]+) s", cluster.log)) == before:
            assert time.monotonic() < deadline, cluster.log
    assert min(map(float, sent)) < 300


def test_one_replica_becomes_two_under_load(cluster: Cluster) -> None:
    with ExitStack() as load:
        for number in range(PLACES):
            client = load.enter_context(cluster.connect())
            if number:  # the first says nothing: an open WebSocket is a listener
                send(client, {"text": HELD})
                client.recv(PATIENCE)
        assert len(cluster.wait_for_replicas(2)) == 2
        load.enter_context(cluster.open_gates())


def test_listeners_spread_and_a_killed_replica_costs_only_its_own(cluster: Cluster, tmp_path: Path) -> None:
    first, second = cluster.wait_for_replicas(2)
    with ExitStack() as streams:
        sockets: dict[int, ClientConnection] = {}
        responses: dict[int, HTTPResponse] = {}
        programs: dict[int, subprocess.Popen[bytes]] = {}
        for _ in range(2):
            client = streams.enter_context(cluster.connect())
            send(client, {"text": HELD})
            sockets[cluster.passing("gate")] = client
        for _ in range(2):
            response = streams.enter_context(posted(cluster, HELD))
            responses[cluster.passing("gate")] = response
        for number in range(2):
            program = streams.enter_context(speaking(cluster.url, HELD, tmp_path / f"{number}.wav"))
            programs[cluster.passing("gate")] = program
        assert sockets.keys() == responses.keys() == programs.keys() == {first, second}

        os.kill(first, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            hear(sockets[first])
        with pytest.raises((HTTPException, OSError)):
            responses[first].read()
        _, said = programs[first].communicate(timeout=PATIENCE)
        assert programs[first].returncode == 1
        (line,) = said.decode().splitlines()
        assert re.search(r"broke off|refuses \(500\)", line)  # after its first sound, or just before

        with cluster.open_gates():
            assert processes_in(hear(sockets[second]).last) == {second}
            assert len(responses[second].read()) > 2 * 24_000
            assert programs[second].wait(PATIENCE) == 0


def test_remote_asks_again_before_its_first_sound(cluster: Cluster, tmp_path: Path) -> None:
    cluster.wait_for_replicas(2)
    servers = f"{cluster.url},http://localhost:{cluster.port}"
    with speaking(servers, "Wait before that.", tmp_path / "x.wav") as program:
        killed = cluster.passing("gate")
        os.kill(killed, signal.SIGKILL)
        assert cluster.passing("gate") != killed
        _, said = program.communicate(timeout=PATIENCE)
        assert (program.returncode, said) == (0, b"")
    assert soundfile.info(tmp_path / "x.wav").duration > 0.9


def test_a_replica_whose_engine_is_dead_is_replaced(cluster: Cluster) -> None:
    before = cluster.wait_for_replicas(2)
    with cluster.connect() as client:
        send(client, {"text": "Now die."})
        found = re.search(r"the model of process (\d+) has died", hear(client).last["error"]["message"])
    assert found
    dead = int(found[1])
    assert dead in before
    assert dead not in cluster.wait_for_replicas(2, but=dead)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('No module named ray')")
    environment = clean_environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    refused = subprocess.run(
        [sys.executable, "-c", "import tts_cli.server.cluster"],
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert refused.returncode == 1
    assert "run: pip install '.[cluster]'" in refused.stderr.decode().splitlines()[-1]
