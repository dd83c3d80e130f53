"""`serve run tts_cli.server.cluster:app` as a real process, with a local Ray of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.harness import PATIENCE, ROOT, clean_environment
from tests.server.serving import hear, send

GATES = ("gate", "last gate")
TOKEN = "secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
# What `serve run` does not ask for: a small Ray, and a free port. The command itself is Ray's.
PROGRAM = """
import sys, ray
from ray import serve
from ray.serve.scripts import cli
ray.init(num_cpus=4, object_store_memory=80_000_000, include_dashboard=False, _temp_dir=sys.argv[1], namespace="serve")
serve.start(http_options={"host": "0.0.0.0", "port": int(sys.argv[2])})
cli(["run", "tts_cli.server.cluster:app"])
"""
RAY = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "tts_cli.server.backpressure:in_proxy",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # else replicas would wait for all other tests
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.2",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.2",
}


@dataclass
class Cluster:
    """A cluster whose first replica is ready."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def connect(self, **options: Any) -> ClientConnection:
        """A WebSocket."""
        patience = {"open_timeout": PATIENCE, "close_timeout": 1}
        headers = {"additional_headers": BEARER}
        return connect(f"ws://127.0.0.1:{self.port}/ws/tts", proxy=None, **(patience | headers | options))

    def get(self, path: str, host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
        """Status and body."""
        connection = HTTPConnection(host, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def wait_for_replicas(self, number: int, but: int = 0) -> set[int]:
        """Until so many have spoken, none of them the process `but`. Their processes."""
        deadline = time.monotonic() + PATIENCE
        spoke: set[int] = set()
        while len(spoke) < number:
            assert time.monotonic() < deadline, self.log
            with self.connect() as client:
                send(client, {"text": "Hi."})
                spoke |= processes_in(hear(client).last) - {but}
        return spoke

    def passing(self, gate: str) -> int:
        """Let the engine that waits at a gate go on. Its process."""
        return int((self.folder / gate).read_text().split()[0])

    @contextmanager
    def open_gates(self) -> Iterator[None]:
        """No engine waits at a gate within."""
        pipes = [os.open(self.folder / gate, os.O_RDWR) for gate in GATES]
        try:
            yield
        finally:
            for pipe in pipes:
                os.close(pipe)


def processes_in(last: dict[str, Any]) -> set[int]:
    """The process that has spoken, as the last message of an utterance says it; none after an error."""
    return set(map(int, re.findall(r"process (\d+)", str(last["notices"]))))


@contextmanager
def running(**environment: str) -> Iterator[Cluster]:
    """Run a cluster until the end of the block; then nothing of it is left."""
    with TemporaryDirectory(prefix="tts-", dir="/tmp") as name:  # Ray's sockets need a short path
        folder = Path(name)
        for gate in GATES:
            os.mkfifo(folder / gate)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        own = {"TTS_TEST_GATES": name, "TTS_SERVER_KEY": TOKEN, "HOME": name}  # Ray keeps a key in the home
        variables = {key: value for key, value in clean_environment().items() if key != "PYTHONWARNINGS"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(folder / "ray"), str(port)],
                env=variables | RAY | own | environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        cluster = Cluster(process, port, folder)
        try:
            wait_until_ready(cluster)
            yield cluster
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                left = processes_with(f"TTS_TEST_GATES={name}")
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
        assert left == [], cluster.log


def wait_until_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + PATIENCE
    while "is ready at" not in cluster.log:
        assert cluster.process.poll() is None, cluster.log
        assert time.monotonic() < deadline, cluster.log


def processes_with(variable: str) -> list[int]:
    """The processes that have a variable, as `NAME=value`, in their environment; none on other systems than Linux."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if variable.encode() in variables:
            found.append(int(path.parent.name))
    return found
