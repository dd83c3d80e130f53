"""The configurations of docs/integrations.md, for the tests, and how soon Speech Dispatcher speaks with them.

    python scripts/integrations.py [--runs 5]

prints when the first sound is heard after `spd-say` was started: with a `tts` that starts for each message, and with
one that speaks through a loaded server. The loudspeaker is a null sink of PulseAudio, which takes sound at the pace of
real time. Needs Debian's packages speech-dispatcher, pulseaudio and pulseaudio-utils.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final

from fuzzing.surroundings import surroundings

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "integrations.md"
WAIT_SECONDS: Final = 20
AUDIBLE: Final = 1e-3


def block(first_line: str) -> str:
    """The code on the page that has this line at its beginning, as a comment; after a `#!` line at most."""
    blocks = re.findall(r"```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = [code for code in blocks if re.match(rf'(?:#!.*\n)?(?:#|"|;;) {re.escape(first_line)}\n', code)]
    assert len(found) == 1, first_line
    return str(found[0])


def put_command(folder: Path, python: str = sys.executable) -> str:
    """Make the command `tts` in a folder; returns a `PATH` that finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "tts"
    command.write_text(f'#!/bin/sh\nexec {python} -m tts_cli "$@"\n')
    command.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@contextmanager
def dispatching(folder: Path, environment: Mapping[str, str], speak: str = "tts speak") -> Iterator[dict[str, str]]:
    """Run Speech Dispatcher with the files of the page.

    Parameters
    ----------
    folder
        An empty folder for its files.
    environment
        Its variables. `tts` must be on the `PATH`.
    speak
        What to write instead of `tts speak`.

    Yields
    ------
    dict
        Variables for `spd-say`, with which it finds this server.
    """
    for name in ("speechd.conf", "modules/tts.conf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = block(f"~/.config/speech-dispatcher/{name}").replace("tts speak", speak)
        (folder / name).write_text(text, encoding="utf-8")
    socket = folder / "socket"
    options = ("-C", folder, "-c", "unix_socket", "-S", socket, "-P", folder / "pid", "-L", folder, "-t", "0")
    command = ["speech-dispatcher", "--run-single", *map(str, options)]
    with subprocess.Popen(command, env=environment, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + WAIT_SECONDS
            while not socket.exists():
                assert process.poll() is None, "Speech Dispatcher has ended"
                assert time.monotonic() < deadline, "Speech Dispatcher does not get ready"
                time.sleep(0.02)
            yield {**environment, "SPEECHD_ADDRESS": f"unix_socket:{socket}"}
        finally:
            process.terminate()


@contextmanager
def null_sink(environment: Mapping[str, str]) -> Iterator[None]:
    """Run PulseAudio with a null sink."""
    modules = ("--load=module-native-protocol-unix", "--load=module-null-sink sink_name=speaker rate=24000")
    command = ["pulseaudio", "-n", "--daemonize=yes", "--exit-idle-time=-1", *modules]
    subprocess.run(command, env=environment, check=True, stderr=DEVNULL)
    try:
        yield
    finally:
        subprocess.run(["pulseaudio", "--kill"], env=environment, check=False, stderr=DEVNULL)


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[str]:
    """Run `tts serve`; yields its address."""
    command = ["tts", "serve", "--engine", "builtin", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=PIPE, stderr=DEVNULL) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[^ /]+", process.stdout.readline().decode())
            assert found is not None, "the server does not start"
            yield found[0]
        finally:
            process.terminate()


def first_sound(command: list[str], environment: Mapping[str, str]) -> float:
    """Seconds from the start of a command until something is heard; it then runs to its end."""
    import numpy as np

    recorder = ["parec", "-d", "speaker.monitor", "--rate=24000", "--channels=1", "--format=float32le"]
    with subprocess.Popen([*recorder, "--latency-msec=10"], env=environment, stdout=PIPE, stderr=DEVNULL) as recording:
        assert recording.stdout is not None
        try:
            recording.stdout.read(9600)  # it records
            began = time.monotonic()
            with subprocess.Popen(command, env=environment) as process:
                while True:
                    block_heard = np.frombuffer(recording.stdout.read(960), np.float32)
                    if (np.abs(block_heard) > AUDIBLE).any():
                        break
                    assert time.monotonic() < began + WAIT_SECONDS, "nothing is heard"
                heard = time.monotonic() - began
                process.wait()
            return heard
        finally:
            recording.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        environment = surroundings(Path(folder))
        del environment["PULSE_SERVER"]
        environment["PATH"] = put_command(Path(folder, "bin"))
        Path(environment["XDG_RUNTIME_DIR"]).chmod(0o700)
        stack.enter_context(null_sink(environment))
        server = stack.enter_context(serving(environment))
        ways = {"a tts for each message": "tts speak", "a loaded server": f"tts speak --server {server}"}
        for number, (name, speak) in enumerate(ways.items()):
            with dispatching(Path(folder, f"speechd{number}"), environment, speak) as client:
                times = [first_sound(["spd-say", "--wait", "Hello, world."], client) for _ in range(runs + 1)]
            first, *rest = (round(1000 * seconds) for seconds in times)
            later = f"{statistics.median(rest):.0f} ms ({min(rest)} to {max(rest)})"
            print(f"{name}: the first message {first} ms, later ones {later}")


if __name__ == "__main__":
    main()
